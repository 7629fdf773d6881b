import test from 'ava';
import { PassingError, UnreachableError } from '../errors.ts';
import { explainUnreachable } from './explain-unreachable.ts';
import { type NodeOptions, statusOf } from '../testing/tailscaled.ts';
import { type Tailnet, TailnetError } from '../tailnet/types.ts';
import { readStatus } from '../tailnet/status.ts';

const tka: NodeOptions = { id: 'n1', name: 'tka', address: '100.64.0.1', tags: ['tag:tka'] };
const tailnet = (more: Partial<NodeOptions> = {}, status = {}): Tailnet =>
  readStatus(
    statusOf(
      [
        { ...tka, ...more },
        { id: 'n2', name: 'gate', address: '100.64.0.2' },
      ],
      status,
    ),
  );
const absent = new TailnetError('absent', 'no tailscaled answers', ['Install Tailscale']);
const loggedOut = new TailnetError('logged-out', 'this machine is logged out', ['tailscale up']);

const asked = 'Is this machine on the tailnet? `tailscale status` tells.';
const unreachable = new UnreachableError('it refuses', [asked, 'Another server is named with --server.']);

const explained: readonly [string, string, Tailnet | TailnetError, RegExp, RegExp][] = [
  [
    'no machine has the name',
    'http://tkka',
    tailnet(),
    /no machine .* has the name tkka$/,
    /Did you mean tka\.tail\.example\?/,
  ],
  ['none has it, nor one like it', 'http://kubernetes', tailnet(), /has the name kubernetes$/, /Did you mean tka\./],
  ['no machine has the address', 'http://100.64.0.7', tailnet(), /has the address 100\.64\.0\.7$/, /tka clusters/],
  ['none has the IPv6 address', 'http://[fd7a:115c:a1e0::7]', tailnet(), /no machine of this tailnet/, /tka clusters/],
  ['the name is under the suffix', 'http://gone.tail.example', tailnet(), /has the name gone\./, /tka clusters/],
  [
    'the machine is offline',
    'http://tka',
    tailnet({ online: false }),
    /tka\.tail\.example is offline$/,
    /Contact its admin/,
  ],
  ['its key has expired', 'http://tka', tailnet({ Expired: true }), /the node key of .* has expired$/, /renew/],
  ['no server answers', 'http://tka', tailnet(), /is online, but nothing answers there$/, /policy lets you reach/],
  ['there is no interface', 'http://tka', tailnet({}, { TUN: false }), /no network interface/, /HTTP_PROXY/],
  ['there is no tailscaled', 'http://tka.x.ts.net', absent, /no tailscaled answers$/, /Install Tailscale/],
  ['this machine is logged out', 'http://100.64.0.7', loggedOut, /logged out$/, /tailscale up/],
];
for (const [what, server, network, message, remedy] of explained) {
  test(`that ${server} cannot be reached is explained: ${what}`, (t) => {
    const error = explainUnreachable(unreachable, { server, hasProxy: false, tailnet: network });
    t.true(error.message.startsWith('it refuses: '));
    t.regex(error.message, message);
    t.regex(error.advice.join('\n'), remedy);
    t.false(error.advice.includes(asked), 'that question has its answer');
    t.is(error.advice.at(-1), 'Another server is named with --server.');
    t.is(error.exitCode, 4);
  });
}

test('a name under the suffix of a tailnet that servers were pinned on is of a tailnet, though this machine is logged out', (t) => {
  const situation = { server: 'http://tka.corp.internal', hasProxy: false, tailnet: loggedOut };
  t.is(explainUnreachable(unreachable, situation), unreachable);
  const error = explainUnreachable(unreachable, { ...situation, suffixes: ['corp.internal'] });
  t.regex(error.message, /this machine is logged out$/);
  t.is(error.advice[0], 'tailscale up');
});

test('what tailscaled knows for good is not tried again: offline, an expired key, logged out', (t) => {
  const passing = new PassingError('it refuses', []);
  for (const network of [tailnet({ online: false }), tailnet({ Expired: true }), loggedOut]) {
    t.false(
      explainUnreachable(passing, { server: 'http://tka', hasProxy: false, tailnet: network }) instanceof PassingError,
    );
  }
});

const leftAlone: readonly [string, Tailnet | TailnetError, boolean][] = [
  ['http://10.0.0.7', tailnet(), false],
  ['https://tka.example.com', tailnet(), false],
  ['https://tka.example.org', absent, false],
  ['http://100.200.0.1', absent, false],
  ['http://localhost:1', loggedOut, false],
  ['http://tka', absent, true],
];
for (const [server, network, hasProxy] of leftAlone) {
  test(`a tailnet explains nothing of ${server}${hasProxy ? ', where a proxy leads into it' : ''}`, (t) => {
    t.is(explainUnreachable(unreachable, { server, hasProxy, tailnet: network }), unreachable);
  });
}

test('an error that may pass stays one that may pass', (t) => {
  const situation = { server: 'http://tka', hasProxy: false, tailnet: tailnet() };
  t.true(explainUnreachable(new PassingError('it refuses', []), situation) instanceof PassingError);
  t.false(explainUnreachable(unreachable, situation) instanceof PassingError);
});
