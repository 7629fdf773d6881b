import test from 'ava';
import * as fc from 'fast-check';
import { type Document, parse, parseDocument, stringify } from 'yaml';
import { mergeEntries, ownContexts, lastServer, removeEntries, type SessionEntries } from './entries.ts';
import type { KubeconfigDocument } from './entry.ts';
import { renderYaml } from './text.ts';

const marker = { server: 'http://tka', session: 'alice-0123456789' };

function file(text: string, path = '/k'): KubeconfigDocument {
  const document: Document = parseDocument(text, { intAsBigInt: true });
  return { path, document, changed: false };
}

function entries(changes: Partial<SessionEntries> = {}): SessionEntries {
  return {
    marker,
    name: 'tka-prod',
    otherNames: ['tka-prod-edit', 'tka-prod-2'],
    cluster: { server: 'https://prod:6443', 'certificate-authority-data': 'Q0E=' },
    user: { exec: { command: 'tka', args: ['credential'] }, token: undefined },
    use: false,
    ...changes,
  };
}

const foreign = `# mine, by hand
apiVersion: v1
kind: Config
preferences: { colors: true } # flow
x-unknown: [ 1, 2.50, 0x1f ]
clusters:
# the old cluster
- name: old # do not touch
  cluster:
    server: https://old:6443
    x-more: 12345678901234567890
contexts:
- name: old
  context: { cluster: old, user: old, namespace: n }
users:
- name: old
  user:
    token: "0123"
    # a comment at the end of the users
current-context: old

# the end
`;

function names(document: KubeconfigDocument): unknown {
  const plain = parse(renderYaml(document.document)) as Record<string, { name: string }[]>;
  return [plain['clusters'], plain['users'], plain['contexts']].map((list) => (list ?? []).map(({ name }) => name));
}

test('a new session gets a cluster, a user and a context of one name', (t) => {
  const target = file(foreign);
  const result = mergeEntries([target], target, entries());
  t.deepEqual(result, { context: 'tka-prod', current: false, path: '/k' });
  t.deepEqual(names(target), [
    ['old', 'tka-prod'],
    ['old', 'tka-prod'],
    ['old', 'tka-prod'],
  ]);
  const plain = parse(renderYaml(target.document)) as { contexts: { context: object }[]; users: { user: object }[] };
  const extensions = [{ name: 'tka.specht-labs.de/session', extension: marker }];
  t.deepEqual(plain.contexts[1]?.context, { cluster: 'tka-prod', user: 'tka-prod', extensions });
  t.deepEqual(plain.users[1]?.user, { exec: { command: 'tka', args: ['credential'] }, extensions });
});

test('a login and a logout leave every byte of the rest as it was', (t) => {
  const target = file(foreign);
  const untouched = renderYaml(file(foreign).document);
  mergeEntries([target], target, entries());
  const merged = renderYaml(target.document);
  for (const comment of foreign.match(/#.*/g) ?? []) t.true(merged.includes(comment), comment);
  const again = file(merged);
  t.deepEqual(
    removeEntries([again], (own) => own.server === marker.server),
    ['tka-prod'],
  );
  t.is(renderYaml(again.document), untouched);
  t.is(untouched, foreign);
});

test('a second login of the same session changes nothing', (t) => {
  const target = file(foreign);
  mergeEntries([target], target, entries());
  const again = file(renderYaml(target.document));
  mergeEntries([again], again, entries());
  t.false(again.changed);
});

test('a second login keeps what was chosen by hand: the namespace, a name, other fields', (t) => {
  const target = file('');
  target.document.contents = target.document.createNode({});
  mergeEntries([target], target, entries({ namespace: 'dev' }));
  const text = renderYaml(target.document)
    .replace('namespace: dev', 'namespace: chosen')
    .replace(/(contexts:\n- name: )tka-prod/, '$1renamed')
    .replace('server: https://prod:6443', 'server: https://prod:6443\n    tls-server-name: by-hand');
  const again = file(text);
  const result = mergeEntries(
    [again],
    again,
    entries({ cluster: { server: 'https://moved:6443' }, namespace: 'other' }),
  );
  t.is(result.context, 'renamed');
  const plain = parse(renderYaml(again.document)) as {
    clusters: { cluster: Record<string, unknown> }[];
    contexts: { context: object }[];
  };
  t.like(plain.contexts[0]?.context, { namespace: 'chosen', cluster: 'tka-prod', user: 'tka-prod' });
  t.like(plain.clusters[0]?.cluster, { 'tls-server-name': 'by-hand', server: 'https://moved:6443' });
});

test('the token leaves the entry when a plugin comes, and the plugin when a token comes', (t) => {
  const target = file('{}');
  mergeEntries([target], target, entries({ user: { exec: undefined, token: 'abc' } }));
  mergeEntries([target], target, entries());
  t.false(renderYaml(target.document).includes('abc'));
  mergeEntries([target], target, entries({ user: { exec: undefined, token: 'abc' } }));
  t.false(renderYaml(target.document).includes('exec'));
});

const taken: readonly [string, string, string][] = [
  ['a foreign context', 'contexts: [{name: tka-prod, context: {cluster: a, user: b}}]', 'tka-prod-edit'],
  ['a foreign user', 'users: [{name: tka-prod, user: {token: x}}]', 'tka-prod-edit'],
  ['a foreign cluster', 'clusters: [{name: tka-prod, cluster: {server: x}}]', 'tka-prod-edit'],
  [
    'another session of ours',
    'contexts: [{name: tka-prod, context: {extensions: [{name: tka.specht-labs.de/session, extension: {server: "http://tka", session: bob-1}}]}}]',
    'tka-prod-edit',
  ],
  ['both names', 'users: [{name: tka-prod}, {name: tka-prod-edit}]', 'tka-prod-2'],
];
for (const [what, text, expected] of taken) {
  test(`where ${what} has the name, another name is taken and nothing is overwritten`, (t) => {
    const target = file(text);
    t.is(mergeEntries([target], target, entries()).context, expected);
    const before = parse(text) as Record<string, unknown[]>;
    const after = parse(renderYaml(target.document)) as Record<string, unknown[]>;
    for (const [key, list] of Object.entries(before)) t.deepEqual(after[key]?.slice(0, list.length), list);
  });
}

test('where every name is taken the login is refused', (t) => {
  const all = ['tka-prod', 'tka-prod-edit', 'tka-prod-2'];
  const target = file(stringify({ users: all.map((name) => ({ name })) }));
  t.throws(() => mergeEntries([target], target, entries()), { message: /tka-prod/ });
  t.false(target.changed);
});

test('changed entries go back to their file, new ones to the destination', (t) => {
  const first = file('{}', '/first');
  const second = file('{}', '/second');
  mergeEntries([first, second], second, entries());
  t.false(names(first) === names(second));
  const result = mergeEntries([first, second], first, entries({ cluster: { server: 'https://moved:6443' } }));
  t.is(result.path, '/second');
  t.true(renderYaml(second.document).includes('moved'));
  t.deepEqual(names(first), [[], [], []]);
});

const currents: readonly [string, string, boolean, string, string][] = [
  ['none is set', '{}', false, 'tka-prod', 'an empty file'],
  ['it is empty', 'current-context: ""', false, 'tka-prod', ''],
  ['another is set', 'current-context: old', false, 'old', ''],
  ['another is set and --use', 'current-context: old', true, 'tka-prod', ''],
];
for (const [what, text, use, expected] of currents) {
  test(`current-context where ${what}`, (t) => {
    const target = file(text);
    const { current } = mergeEntries([target], target, entries({ use }));
    t.is(target.document.get('current-context'), expected);
    t.is(current, expected === 'tka-prod');
  });
}

test('current-context is changed in the file that sets it, not in one that is shadowed', (t) => {
  const first = file('current-context: old', '/first');
  const second = file('{}', '/second');
  t.true(mergeEntries([first, second], second, entries({ use: true })).current);
  t.is(first.document.get('current-context'), 'tka-prod');
});

test('a logout removes only what matches, and current-context only where it named that', (t) => {
  const target = file(foreign);
  const other = { server: 'http://other', session: 'alice-0123456789' };
  mergeEntries([target], target, entries({ use: true }));
  mergeEntries([target], target, entries({ marker: other, name: 'tka-other' }));
  removeEntries([target], (own) => own.server === other.server);
  t.is(target.document.get('current-context'), 'tka-prod');
  t.deepEqual(ownContexts([target]), [{ ...marker, context: 'tka-prod', current: true }]);
  removeEntries([target], (own) => own.session === marker.session);
  t.is(target.document.get('current-context'), '');
});

test('an entry with a malformed marker is not ours', (t) => {
  for (const [server, name] of [
    ['..', 'alice-1'],
    ['http://tka/', 'alice-1'],
    ['http://tka', '../x'],
    ['http://tka', 'a\u001B[2J'],
  ]) {
    const extension = { name: 'tka.specht-labs.de/session', extension: { server, session: name } };
    const text = JSON.stringify({ contexts: [{ name: 'x', context: { extensions: [extension] } }] });
    const document = parseDocument(text);
    t.deepEqual(ownContexts([{ path: 'x', document, changed: false }]), [], text);
  }
});

test('a logout touches no file that has nothing of ours', (t) => {
  const target = file(foreign);
  t.deepEqual(
    removeEntries([target], () => true),
    [],
  );
  t.false(target.changed);
});

test('what kubectl makes of our entries is still ours', (t) => {
  // As `kubectl config set-context --current --namespace=foo` writes the file: keys sorted, env added.
  const rewritten = `apiVersion: v1
clusters:
- cluster:
    extensions:
    - extension:
        server: http://tka
        session: alice-0123456789
      name: tka.specht-labs.de/session
    server: https://prod:6443
  name: tka-prod
contexts:
- context:
    cluster: tka-prod
    extensions:
    - extension:
        server: http://tka
        session: alice-0123456789
      name: tka.specht-labs.de/session
    namespace: foo
    user: tka-prod
  name: tka-prod
current-context: tka-prod
kind: Config
users: null
`;
  const target = file(rewritten);
  t.is(mergeEntries([target], target, entries()).context, 'tka-prod');
  removeEntries([target], () => true);
  t.deepEqual(names(target), [[], [], []]);
});

test('the server of the current context is remembered, else the only one', (t) => {
  const own = (server: string, current: boolean) => ({ server, session: 's', context: 'c', current });
  t.is(lastServer([own('http://a', false), own('http://b', true)]), 'http://b');
  t.is(lastServer([own('http://a', false), own('http://a', false)]), 'http://a');
  t.is(lastServer([own('http://a', false), own('http://b', false)]), undefined);
  t.is(lastServer([]), undefined);
});

/** YAML has no -0 among its integers. */
function withoutNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

const body = fc.dictionary(
  fc.stringMatching(/^[a-z-]{1,12}$/).filter((key) => key !== 'extensions' && key !== '-'),
  fc.oneof(
    fc.string(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.string()),
  ),
);
const list = (kind: string) =>
  fc.array(fc.record({ name: fc.oneof(fc.constant('tka-prod'), fc.string({ minLength: 1 })), [kind]: body }), {
    maxLength: 4,
  });

test('whatever else a kubeconfig holds, in whatever style, survives a login and a logout', (t) => {
  const kubeconfig = fc.record({
    clusters: fc.option(list('cluster')),
    users: fc.option(list('user')),
    contexts: fc.option(list('context')),
    'current-context': fc.constantFrom('', 'old', 'gone'),
    'x-unknown': fc.jsonValue().map(withoutNegativeZero),
  });
  fc.assert(
    fc.property(kubeconfig, fc.boolean(), fc.boolean(), (before, asJson, use) => {
      const text = asJson ? JSON.stringify(before) : stringify(before);
      const target = file(text);
      mergeEntries([target], target, entries({ use }));
      const merged = file(renderYaml(target.document, text));
      removeEntries([merged], () => true);
      const after = parse(renderYaml(merged.document)) as Record<string, unknown>;
      const original = parse(text) as Record<string, unknown>;
      for (const key of ['clusters', 'users', 'contexts']) t.deepEqual(after[key], original[key] ?? []);
      t.deepEqual(after['x-unknown'], original['x-unknown']);
      t.is(after['current-context'], use ? '' : original['current-context']);
    }),
    { numRuns: 300 },
  );
});

test('a login by another name of the server changes the entries of the session, and their marker', (t) => {
  const target = file('');
  target.document.contents = target.document.createNode({});
  mergeEntries([target], target, entries());
  const isSame = (one: string, other: string): boolean => one.includes('tka') && other.includes('tka');
  const moved = { server: 'https://tka.tail.example', session: marker.session };
  const request = entries({ marker: moved, cluster: { server: 'https://tka.tail.example/k8s' } });
  t.is(mergeEntries([target], target, { ...request, isSame }).context, 'tka-prod');
  t.deepEqual(names(target), [['tka-prod'], ['tka-prod'], ['tka-prod']]);
  t.deepEqual(ownContexts([target]), [{ ...moved, context: 'tka-prod', current: true }]);
  // Without a word that they are one, they are two.
  mergeEntries([target], target, { ...entries({ marker: { ...marker, server: 'http://other' } }), isSame });
  t.is(ownContexts([target]).length, 2);
});

test('contexts of one server under two names remember one server', (t) => {
  const contexts = ['http://tka', 'https://tka.tail.example'].map((server) => ({
    server,
    session: 's',
    context: server,
    current: false,
  }));
  t.is(lastServer(contexts), undefined);
  t.is(
    lastServer(contexts, () => true),
    'http://tka',
  );
});
