import test from 'ava';
import { alice } from '../testing/http.ts';
import { controlHost, printable, subjectOf, usernameOf } from './subject.ts';

const hosts: readonly [url: string | undefined, host: string][] = [
  [undefined, 'controlplane.tailscale.com'],
  ['', 'controlplane.tailscale.com'],
  ['https://login.tailscale.com', 'controlplane.tailscale.com'],
  ['https://controlplane.tailscale.com', 'controlplane.tailscale.com'],
  ['https://Headscale.Example:443/', 'headscale.example'],
  ['https://headscale.example:8443', 'headscale.example:8443'],
];

for (const [url, host] of hosts) {
  test(`the control server ${url ?? 'by default'} is ${host} in subjects`, (t) => {
    t.is(controlHost(url), host);
  });
}

test('two people of one login name are two subjects, one person of two names is one', (t) => {
  const renamed = alice([], { user: { id: '7', loginName: 'alice@b.example' } });
  const namesake = alice([], { user: { id: '8', loginName: 'alice@example.com' } });
  t.is(subjectOf(alice(), 'h'), subjectOf(renamed, 'h'));
  t.not(subjectOf(alice(), 'h'), subjectOf(namesake, 'h'));
  t.not(subjectOf(alice(), 'h'), subjectOf(alice(), 'other'));
});

test('user 2 and tagged node 2 are two subjects', (t) => {
  const user = alice([], { user: { id: '2', loginName: 'a' }, nodeId: '2' });
  const tagged = alice([], { tags: ['tag:ci'], nodeId: '2' });
  t.is(subjectOf(user, 'h'), 'h|user:2');
  t.is(subjectOf(tagged, 'h'), 'h|node:2');
});

test('a tagged node is never its owner', (t) => {
  const tagged = alice([], { tags: ['tag:ci'] });
  t.is(subjectOf(tagged, 'h'), 'h|node:nAlice');
  t.is(usernameOf(tagged), 'laptop.tail.example');
});

const names: readonly [title: string, name: string, expected: string][] = [
  ['an ordinary name', 'alice@example.com', 'alice@example.com'],
  ['letters of any script', 'ălîçe@例え', 'ălîçe@例え'],
  ['terminal escapes', 'a\u001b[31mb\u0007', 'a[31mb'],
  ['line breaks', 'a\r\nb\u2028c', 'abc'],
  ['bidirectional overrides', 'a\u202eb', 'ab'],
  ['half of a pair', 'a\ud800b', 'ab'],
];

for (const [title, name, expected] of names) {
  test(`a display name with ${title} is safe to print`, (t) => {
    t.is(printable(name, 253), expected);
  });
}

test('a name of 300 characters is cut, a name of nothing is still a name', (t) => {
  t.is(usernameOf(alice([], { user: { id: '7', loginName: 'x'.repeat(300) } })).length, 253);
  t.is(usernameOf(alice([], { user: { id: '7', loginName: '\u0000' } })), 'unknown');
});
