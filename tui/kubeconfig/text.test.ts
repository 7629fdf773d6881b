import test from 'ava';
import { parse } from 'yaml';
import { mergeEntries, removeEntries, type SessionEntries } from './entries.ts';
import type { KubeconfigDocument } from './entry.ts';
import { parseKubeconfig } from './parse.ts';
import { rewriteKubeconfig } from './text.ts';

const marker = { server: 'http://tka', session: 'alice-0123456789' };
const entries: SessionEntries = {
  marker,
  name: 'tka-prod',
  cluster: { server: 'https://tka/k8s', 'certificate-authority-data': 'Q0E=' },
  user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'tka', args: ['credential', '--server=x'] } },
  use: false,
};

function read(text: string): KubeconfigDocument {
  return { path: '/k', text, document: parseKubeconfig(text, '/k'), changed: false };
}

function loggedIn(text: string, changes: Partial<SessionEntries> = {}): string {
  const file = read(text);
  mergeEntries([file], file, { ...entries, ...changes });
  return rewriteKubeconfig(text, file.document);
}

function loggedOut(text: string): string {
  const file = read(text);
  removeEntries([file], ({ session }) => session === marker.session);
  return rewriteKubeconfig(text, file.document);
}

interface Plain {
  readonly contexts: readonly { readonly name: string }[];
  readonly clusters: readonly { readonly name: string }[];
  readonly users: readonly { readonly name: string }[];
  readonly 'current-context': string;
}

function contextsIn(text: string): readonly string[] {
  return (parseKubeconfig(text, '/k').toJS() as Plain).contexts.map(({ name }) => name);
}

const four = `apiVersion:   v1
kind: Config
preferences: { colors: true }
clusters:
    # by hand
    -   name:   one      # aligned
        cluster: {server: 'https://one:6443', "x-more": 0x1f}
contexts:
    -   context:
            cluster: one
            user: "one"


        name: one
users:
    -   name: one
        user:
            client-key-data: >-
                Zm9v
                YmFy
            exec:
                apiVersion: client.authentication.k8s.io/v1beta1
                command: aws
                args:
                -   eks
                -   get-token
current-context: 'one'   # mine
# the end
`;

const minikube = `apiVersion: v1
clusters:
- cluster:
    certificate-authority: /home/a/.minikube/ca.crt
    extensions:
    - extension:
        last-update: Mon, 30 Nov 2026 09:00:00 UTC
        provider: minikube.sigs.k8s.io
        version: v1.37.0
      name: cluster_info
    server: https://192.168.49.2:8443
  name: minikube
contexts:
- context:
    cluster: minikube
    extensions:
    - extension:
        provider: minikube.sigs.k8s.io
      name: context_info
    namespace: default
    user: minikube
  name: minikube
current-context: minikube
kind: Config
preferences: {}
users:
- name: minikube
  user:
    client-certificate: /home/a/.minikube/profiles/minikube/client.crt
    client-key: /home/a/.minikube/profiles/minikube/client.key
`;

const json = `${JSON.stringify(
  {
    kind: 'Config',
    apiVersion: 'v1',
    clusters: [{ name: 'a', cluster: { server: 'https://a' } }],
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    users: [{ name: 'a', user: {} }],
    'current-context': 'a',
  },
  undefined,
  4,
)}\n`;

const shapes: readonly (readonly [string, string])[] = [
  ['four spaces, flow style, alignment and comments', four],
  ['CRLF line ends', four.replaceAll('\n', '\r\n')],
  ['a byte order mark', `\uFEFF${minikube}`],
  ['extensions of minikube', minikube],
  ['no line end at the end', minikube.trimEnd()],
  ['an own indentation of the whole', minikube.replaceAll(/^(?=.)/gm, '  ')],
  ['a document start and end', `---\n${minikube}...\n`],
  ['a second YAML document', `${minikube}---\nkind: Other\n`],
  [
    'anchors, aliases and merge keys',
    `${minikube.replace('user: minikube\n  name', 'user: minikube\n  name').replace('- context:\n    cluster', '- context: &c\n    cluster')}x-more:\n  - *c\n  - <<: *c\n`,
  ],
  ['repeated keys of other programs', `${minikube}x-more: {a: 1, a: 2}\nx-more: 2\n`],
  ['a flow list in YAML', '# mine\ncontexts: [{name: a, context: {cluster: a}}, ] # one\nclusters: [ ]\nusers: []\n'],
  ['JSON over many lines', json],
  ['JSON in one line', JSON.stringify(JSON.parse(json))],
  ['JSON with empty lists', '{\n  "kind": "Config",\n  "contexts": [],\n  "clusters": [\n  ],\n  "users": []\n}\n'],
];
for (const [what, text] of shapes) {
  test(`${what}: a login adds its entries and leaves every other line, a logout restores the file`, (t) => {
    const merged = loggedIn(text);
    t.deepEqual(contextsIn(merged), [...contextsIn(text), 'tka-prod']);
    const after = merged.split('\n');
    if (!text.startsWith('{') && !text.includes('[{')) {
      const lost = text
        .split('\n')
        .filter((line) => line.trim() !== '' && !/^\w+: \[/.test(line) && !after.includes(line));
      t.deepEqual(lost, text.endsWith('\n') ? [] : lost.filter((line) => text.endsWith(line)));
    }
    const restored = loggedOut(merged);
    t.is(restored.replace(/\n$/, '').replaceAll(/\[\s*\]/g, '[]'), normalized(text));
  });
}

/** What a login and a logout do change: an empty list has no space in it, and a context becomes the current one of none. */
function normalized(text: string): string {
  const closed = text.replace(/\n$/, '').replaceAll(/\[\s*\]/g, '[]');
  if (/current-context/.test(text)) return closed;
  return closed.startsWith('{')
    ? closed.replace(/(\s*)\}$/, (_, end: string) => `,${end === '' ? ' ' : '\n  '}"current-context": ""${end}}`)
    : `${closed}\ncurrent-context: ""`;
}

const empties: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['a document start', '---\n'],
  ['null', 'null\n'],
  ['a tilde', '~'],
  ['a comment', '# mine\n'],
  ['a comment without a line end', '# mine'],
  [
    'null lists, as kubectl writes them',
    'apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: ""\nkind: Config\npreferences: {}\nusers: null\n',
  ],
  ['keys without values', 'clusters:\ncontexts: # none yet\nusers:\ncurrent-context:\n'],
  ['an empty mapping', '{}'],
  ['no lists at all', 'apiVersion: v1\nkind: Config'],
];
for (const [what, text] of empties) {
  test(`a kubeconfig of ${what} gets the entries, and keeps its comments`, (t) => {
    const merged = loggedIn(text);
    const plain = parse(merged) as Plain;
    for (const list of [plain.clusters, plain.users, plain.contexts])
      t.deepEqual(
        list.map(({ name }) => name),
        ['tka-prod'],
      );
    t.is(plain['current-context'], 'tka-prod');
    for (const comment of text.match(/#.*/g) ?? []) t.true(merged.includes(comment));
    t.deepEqual(contextsIn(loggedOut(merged)), []);
  });
}

test('JSON stays JSON through a login, a change and a logout', (t) => {
  for (const text of [json, JSON.stringify(JSON.parse(json)), '{}', '{\n}\n', '{"contexts": null}']) {
    const merged = loggedIn(text);
    t.is((JSON.parse(merged) as Plain).contexts.at(-1)?.name, 'tka-prod', text);
    const changed = loggedIn(merged, { cluster: { server: 'https://moved', 'tls-server-name': 'tka' }, use: true });
    t.like(JSON.parse(changed), { 'current-context': 'tka-prod' });
    t.regex(changed, /https:\/\/moved/);
    t.notThrows(() => JSON.parse(loggedOut(changed)) as unknown);
  }
  const lines = loggedIn(json).split('\n');
  for (const line of json.split('\n')) t.true(lines.includes(line) || lines.includes(`${line},`), line);
});

test('an own entry is changed field by field: the rest of it, and its comments, stay', (t) => {
  const text = loggedIn(four).replace(/( +)server: https:\/\/tka\/k8s/, '$& # by tka\n$1x-mine: 1');
  const changed = loggedIn(text, { cluster: { server: 'https://moved', 'certificate-authority-data': undefined } });
  t.is(changed, text.replace('https://tka/k8s', 'https://moved').replace(/\n +certificate-authority-data: Q0E=/, ''));
});

test('text that YAML 1.1 takes for a boolean or a number is quoted, so that kubectl reads text', (t) => {
  for (const name of ['on', 'no', 'y', '012', '1e3', '1_000', '0x1f', '12:30:45']) {
    const merged = loggedIn(minikube, { name, use: true });
    const first = (parse(merged, { version: '1.1' }) as Plain).contexts.at(-1)?.name;
    t.is(first, name);
    t.is((parse(merged, { version: '1.1' }) as Plain)['current-context'], name);
  }
});

test('where an entry cannot be placed in the text, the whole is rendered, with its line ends', (t) => {
  const text = 'contexts: &list\r\n- name: a\r\n  context: {}\r\nusers: []\r\nclusters: []\r\nx-more: *list\r\n';
  const merged = loggedIn(text);
  t.deepEqual(contextsIn(merged), ['a', 'tka-prod']);
  t.false(/[^\r]\n/.test(merged));
});
