import test from 'ava';
import { pino } from 'pino';
import { createStateLog, listenersOf, ownNamesOf } from './index.ts';
import type { NodeState } from '../tsnet/node.ts';

test('a node goes by its full name, its short name and its addresses', (t) => {
  const state = {
    dnsName: 'TKA.tail1234.ts.net',
    addresses: ['100.64.0.1', 'fd7a:115c:A1E0::1'],
    certDomains: ['tka.tail1234.ts.net'],
  };
  t.deepEqual(ownNamesOf(state), ['tka.tail1234.ts.net', 'tka', '100.64.0.1', '[fd7a:115c:a1e0::1]']);
});

test('a node that has no name yet goes by none', (t) => {
  t.deepEqual(ownNamesOf({ dnsName: '', addresses: [], certDomains: [] }), []);
});

test('443 always speaks TLS, and alone where it was asked for', (t) => {
  t.deepEqual(listenersOf(80), [
    { port: 80, tls: false },
    { port: 443, tls: true },
  ]);
  t.deepEqual(listenersOf(443), [{ port: 443, tls: true }]);
});

test('a change of the node is logged once', (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'debug' },
    { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const tell = createStateLog(log);
  const state: NodeState = {
    status: 'NeedsLogin',
    ready: false,
    authUrl: 'https://login',
    addresses: [],
    dnsName: '',
    stableNodeId: '',
    certDomains: [],
    health: [],
    restarts: 0,
  };
  tell(state);
  tell(state);
  const { authUrl: _, ...running } = state;
  tell({ ...running, status: 'Running', ready: true, dnsName: 'tka.x' });
  tell({ ...running, status: 'Running', ready: true, dnsName: 'tka.x', health: ['a warning'] });
  tell({ ...running, status: 'Restarting', reason: 'killed' });
  tell({ ...running, status: 'Restarting' });
  tell({ ...running, status: 'Failed', reason: 'bad key' });
  t.deepEqual(
    lines.map(({ level, authUrl, dnsName, reason }) => ({ level, authUrl, dnsName, reason })),
    [
      { level: 40, authUrl: 'https://login', dnsName: undefined, reason: undefined },
      { level: 30, authUrl: undefined, dnsName: 'tka.x', reason: undefined },
      { level: 40, authUrl: undefined, dnsName: undefined, reason: 'killed' },
      { level: 50, authUrl: undefined, dnsName: undefined, reason: 'bad key' },
    ],
  );
});
