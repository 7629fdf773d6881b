import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { widthOf } from '../../components/columns.ts';
import { TailnetError } from '../../tailnet/types.ts';
import { makeAccess, makeCluster, makeSession, makeWorld, showHome, type World } from '../../testing/home.tsx';

test('no line is wider than the terminal and no frame higher, at any size, with whatever a server calls its roles', async (t) => {
  const world = makeWorld();
  const role = '管理者'.repeat(80);
  world.access['dev'] = makeAccess([makeSession(role, { contexts: ['c'.repeat(200)] })], {
    username: 'ü'.repeat(200),
    rules: [{ role, period: '8h', priority: 1, namespaces: ['n'.repeat(63)] }],
  });
  world.access['test'] = { state: 'failed', message: 'm'.repeat(500), advice: [] };
  const home = showHome(t, world);
  await home.seen(/cluster-admin/);
  for (const [columns, rows] of [
    [80, 24],
    [200, 60],
    [76, 20],
    [60, 24],
    [59, 24],
    [40, 15],
    [20, 12],
  ] as const) {
    await home.resize(columns, rows);
    await home.press('j', 'k');
    const lines = home.last().split('\n');
    t.true(lines.length < rows, `${columns}×${rows} has ${lines.length} lines`);
    for (const line of lines) t.true(widthOf(line) <= columns, `${columns}×${rows}: ${line}`);
    t.true(
      lines.some((line) => line.startsWith('❯')),
      `the selected row is there at ${columns}×${rows}`,
    );
  }
});

test('the first frame waits for nothing', (t) => {
  const home = showHome(t, makeWorld({ clusters: [], searched: new Promise(() => undefined) }));
  t.regex(home.frames[0] ?? '', /tka .*looking …/);
});

test('clusters are shown as they are found, while others are still looked for', async (t) => {
  const found = Promise.withResolvers<void>();
  const home = showHome(t, makeWorld({ searched: found.promise }));
  t.regex(await home.seen(/dev/), /4 clusters.*looking …/);
  found.resolve();
  t.notRegex(await home.seen(/4 clusters, 3 sessions$/m), /looking/);
});

test('all sessions count down at the same second, and say in words what the colour says', async (t) => {
  const home = showHome(t, makeWorld());
  t.regex(await home.seen(/0:00:42 last minute/), /8:00:00 left[^]*0:09:00 ends soon/);
  await home.advance(1000);
  t.regex(await home.seen(/0:00:41 last minute/), /7:59:59 left[^]*0:08:59 ends soon/);
  // The period is over, and the session 30 s later.
  await home.advance(41_000);
  t.regex(await home.seen(/0:00:01 last minute/), /7:59:18 left/);
  await home.advance(30_000);
  await home.seen(/0:00:00 ended/);
});

test('a tick changes only the rows of sessions', async (t) => {
  const home = showHome(t, makeWorld());
  const before = (await home.seen(/0:00:42/)).split('\n');
  await home.advance(1000);
  const after = (await home.seen(/0:00:41/)).split('\n');
  const changed = after.filter((line, i) => line !== before[i]);
  t.is(changed.length, 3);
  t.true(changed.every((line) => /\d:\d\d:\d\d/.test(line)));
});

test('what the caller has is asked again every half minute', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/cluster-admin/);
  await home.advance(30_000);
  while (home.calls.filter((call) => call === 'access dev').length < 2) await turn();
  t.pass();
});

const empty: readonly (readonly [string, Partial<World>, RegExp])[] = [
  [
    'no tailscaled',
    { clusters: [], problem: new TailnetError('absent', 'no tailscaled answers', ['Start it.']) },
    /✗ no tailscaled answers\n {2}Start it\.\n {2}R refreshes/,
  ],
  ['no cluster', { clusters: [] }, /No cluster was found on this tailnet\.\n.*tag:tka\* or named tka\*[^]*--server/],
  [
    'no grant',
    { clusters: [makeCluster('dev')], access: { dev: makeAccess([], { rules: [] }) } },
    /no grant[^]*The tailnet policy grants you nothing at any cluster\.\n.*Ask/,
  ],
];
for (const [title, world, expected] of empty) {
  test(`${title}: says so, and what to do`, async (t) => {
    const home = showHome(t, makeWorld(world));
    t.regex(await home.seen(expected), /R|q quit/);
  });
}

test('u makes the context of the session the current one of kubectl, and says so', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/8:00:00/);
  await home.press('j', 'u');
  await home.seen(/kubectl uses tka-dev now\./);
  t.true(home.calls.includes('use dev alice-view-0123456789'));
});
