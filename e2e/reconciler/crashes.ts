/**
 * S4: tka dies before or after any one of its requests, and what starts after it brings the cluster to the same state.
 * Every request of a login, a logout, a renewal and an expiry is hit once, each way; the cases end when a run goes through unhit.
 */
import test from 'ava';
import { until } from '../../dev/stack/until.ts';
import { type Crash, createCrash } from './faults.ts';
import { login, patience, type Running, signIn, tokenOf, type World } from './world.ts';

const endsAt = (hours: number): Date => new Date(Math.floor(Date.now() / 1000) * 1000 + hours * 3_600_000);

interface Scenario {
  readonly title: string;
  /** Of the process that dies; it has this much more time behind it than the others. */
  readonly aheadMs?: number;
  /** Before the process that dies starts. */
  readonly prepare?: (running: Running) => Promise<unknown>;
  /** What the process does that dies over it. */
  readonly act: (running: Running, died: AbortSignal) => Promise<unknown>;
  /** What people do after: the same again. */
  readonly again: (running: Running) => Promise<unknown>;
  /** In the end. */
  readonly sessions: number;
  /** Of the objects that are there in the end. */
  readonly kinds: string;
}

const alice = () => login('alice', { endsAt: endsAt(1) });
const inTwo = () => login('alice', { role: 'edit', namespaces: ['crash-a', 'crash-b'], endsAt: endsAt(1) });
const logout = async ({ reconciler }: Running): Promise<void> => {
  await Promise.all(
    reconciler.list().map(async ({ metadata }) => await reconciler.end(metadata.name, 'logout', patience())),
  );
};
const expiry = async ({ reconciler }: Running, signal?: AbortSignal): Promise<void> => {
  await until(() => reconciler.list().length === 0, { what: 'the end of the session', timeoutMs: 20_000, signal });
};

const one = { sessions: 1, kinds: 'ClusterRoleBinding,ServiceAccount,TkaSignin' };
const none = { sessions: 0, kinds: '' };

const scenarios: readonly Scenario[] = [
  {
    title: 'a login',
    act: async (running) => await signIn(running, alice()),
    again: async (running) => await signIn(running, alice()),
    ...one,
  },
  {
    title: 'a login in two namespaces',
    act: async (running) => await signIn(running, inTwo()),
    again: async (running) => await signIn(running, inTwo()),
    sessions: 1,
    kinds: 'RoleBinding,RoleBinding,ServiceAccount,TkaSignin',
  },
  {
    title: 'a renewal',
    prepare: async (running) => await signIn(running, alice()),
    act: async (running) => await signIn(running, login('alice', { endsAt: endsAt(2) })),
    again: async (running) => await signIn(running, login('alice', { endsAt: endsAt(2) })),
    ...one,
  },
  {
    title: 'a logout',
    prepare: async (running) => await signIn(running, alice()),
    act: logout,
    again: logout,
    ...none,
  },
  {
    title: 'a logout in two namespaces',
    prepare: async (running) => await signIn(running, inTwo()),
    act: logout,
    again: logout,
    ...none,
  },
  {
    title: 'an expiry',
    aheadMs: 3 * 3_600_000,
    prepare: async (running) => await signIn(running, alice()),
    act: expiry,
    again: async (running) => await expiry(running),
    ...none,
  },
];

export function crashCases(world: () => World): void {
  test.serial('namespaces for the crashes', async (t) => {
    for (const name of ['crash-a', 'crash-b']) await world().makeNamespace(name);
    t.pass();
  });
  for (const scenario of scenarios) {
    for (const when of ['before', 'after'] as const) {
      test.serial(`${scenario.title} survives a death ${when} any request (S4)`, async (t) => {
        t.timeout(90_000);
        let hits = 0;
        for (let n = 1; ; n += 1) {
          const at = await crashOnce(world(), scenario, n, when);
          if (at === undefined) break;
          hits += 1;
        }
        // A scenario that makes no request would pass for nothing.
        t.true(hits >= 2, `${hits} requests were hit`);
        t.log(`${hits} requests`);
      });
    }
  }
}

/** What was hit, or undefined where the scenario made fewer requests. */
async function crashOnce(
  world: World,
  scenario: Scenario,
  n: number,
  when: 'before' | 'after',
): Promise<string | undefined> {
  const { aheadMs = 0, prepare, act, again } = scenario;
  if (aheadMs > 0 && prepare !== undefined) {
    // The process that dies finds an old session when it starts: starting is what it dies over.
    await using running = await world.run();
    await prepare(running);
  }
  const crash = createCrash(n, when);
  if (aheadMs > 0) crash.arm();
  const dying = await start(world, crash, aheadMs);
  if (dying !== undefined) {
    if (aheadMs === 0 && prepare !== undefined) await prepare(dying);
    crash.arm();
    const died = new AbortController();
    crash.happening.then(() => died.abort()).catch(() => undefined);
    const acting = act(dying, died.signal).catch(() => undefined);
    await Promise.race([acting, crash.happening]);
    await dying[Symbol.asyncDispose]();
    await acting;
  }
  await using next = await world.run({ aheadMs });
  await again(next);
  await check(world, scenario, next, `after a death ${when} ${crash.happened ? crash.at : 'nothing'}`);
  await logout(next);
  await world.empty();
  return crash.happened ? crash.at : undefined;
}

/** Undefined where it died over starting. */
async function start(world: World, crash: Crash, aheadMs: number): Promise<Running | undefined> {
  const died = new AbortController();
  crash.happening.then(() => died.abort()).catch(() => undefined);
  try {
    return await world.run({ interceptors: [crash.interceptor], aheadMs, signal: died.signal });
  } catch (error) {
    if (crash.happened) return undefined;
    throw error;
  }
}

async function check(world: World, { sessions, kinds }: Scenario, next: Running, title: string): Promise<void> {
  if (sessions === 0) await world.empty();
  const found = (await world.objects()).map((object) => object.split(' ')[0]).join();
  if (found !== kinds) throw new Error(`${title}: ${found} and not ${kinds}`);
  const [signin] = next.reconciler.list();
  if (signin === undefined) return;
  const status = await world.statusWith(await tokenOf(next, signin), pathIn(signin.spec.namespaces));
  if (status !== 200) throw new Error(`${title}: the session answers ${status}`);
}

function pathIn(namespaces: readonly string[] | undefined): string {
  return `/api/v1/namespaces/${namespaces?.[0] ?? 'default'}/pods`;
}
