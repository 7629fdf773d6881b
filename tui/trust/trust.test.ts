import test from 'ava';
import type { Trust } from './trust.ts';
import type { KnownServer } from './known-servers.ts';
import { statusOf } from '../testing/tailscaled.ts';
import { readStatus } from '../tailnet/status.ts';
import { isSameService, judge } from './trust.ts';

const pin = (server: string, nodeId = 'n1', tags: readonly string[] = ['tag:tka']): KnownServer => ({
  server,
  nodeId,
  tags,
});
const network = readStatus(
  statusOf([
    { id: 'n1', name: 'tka', address: '100.64.0.1', tags: ['tag:tka', 'tag:prod'] },
    { id: 'n2', name: 'tka-evil', address: '100.64.0.2' },
  ]),
);
const both = ['tag:prod', 'tag:tka'];
const own = pin('http://tka', 'n1', both);
const withControl = readStatus(statusOf([{ id: 'n1', name: 'tka', address: '100.64.0.1', tags: both }]), {
  ControlURL: 'https://control.example',
});
const here = { tailnet: 'tail.example', control: 'control.example' };

const cases: readonly [string, string, readonly KnownServer[], typeof network | undefined, Trust][] = [
  ['it was never trusted', 'http://tka', [], network, 'new'],
  ['it is the trusted machine', 'http://tka', [pin('http://tka', 'n1', both)], network, 'pinned'],
  ['the same by its full name', 'http://tka.tail.example', [pin('http://tka', 'n1', both)], network, 'pinned'],
  ['the same by its address', 'http://100.64.0.1', [pin('http://tka', 'n1', both)], network, 'pinned'],
  ['the same by https', 'https://tka', [pin('http://tka', 'n1', both)], network, 'pinned'],
  ['another port of the machine', 'http://tka:8080', [pin('http://tka', 'n1', both)], network, 'new'],
  ['a tag is gone', 'http://tka', [pin('http://tka', 'n1', [...both, 'tag:x'])], network, 'changed'],
  ['a tag has come', 'http://tka', [pin('http://tka')], network, 'changed'],
  ['another machine has the name', 'http://tka', [pin('http://tka', 'n0', both)], network, 'changed'],
  ['no machine has the name any more', 'http://gone', [pin('http://gone')], network, 'changed'],
  ['another server is trusted', 'http://tka-evil', [pin('http://tka', 'n1', both)], network, 'new'],
  ['it is no machine of the tailnet', 'http://example.com', [], network, 'unverifiable'],
  ['it was on this tailnet', 'http://tka', [{ ...own, ...here }], withControl, 'pinned'],
  ['the control server is not told now', 'http://tka', [{ ...own, ...here }], network, 'pinned'],
  ['the control server was not told then', 'http://tka', [{ ...own, tailnet: 'tail.example' }], withControl, 'pinned'],
  ['it was on another tailnet', 'http://tka', [{ ...own, tailnet: 'other.example' }], network, 'changed'],
  [
    'it was of another control server',
    'http://tka',
    [{ ...own, ...here, control: 'x.example' }],
    withControl,
    'changed',
  ],
  [
    'it is known here, and there',
    'http://tka',
    [
      { ...own, tailnet: 'other.example' },
      { ...own, ...here },
    ],
    network,
    'pinned',
  ],
  ['its ID is known from another tailnet', 'https://tka', [{ ...own, tailnet: 'other.example' }], network, 'new'],
  ['tailscaled says nothing', 'http://tka', [pin('http://tka')], undefined, 'unverifiable'],
];
for (const [what, server, known, tailnet, trust] of cases) {
  test(`where ${what}, ${server} is ${trust}`, (t) => {
    t.is(judge(server, known, tailnet).trust, trust);
  });
}

test('a pin of another tailnet is named with it, one of this tailnet or of before is not', (t) => {
  t.is(judge('http://tka', [{ ...own, tailnet: 'other.example' }], network).elsewhere, 'other.example');
  t.is(judge('http://tka', [{ ...own, ...here }], network).elsewhere, undefined);
  t.is(judge('http://tka', [own], network).elsewhere, undefined);
});

for (const [one, other, expected] of [
  ['http://a', 'https://b', true],
  ['http://a:8080', 'http://b:8080', true],
  ['http://a:8080', 'http://a', false],
  ['https://a:80', 'http://a', true],
] as const) {
  test(`${one} and ${other} are ${expected ? 'the same' : 'different'} services of one machine`, (t) => {
    t.is(isSameService(one, other), expected);
  });
}
