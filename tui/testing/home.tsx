/**
 * The home screen for tests, on a terminal of a given size, in a world that the test makes: its clusters, its clock, what
 * becomes of its logins. Every frame is kept.
 */
import { EventEmitter, once } from 'node:events';
import { render } from 'ink';
import type { Cluster, FindOptions, Found } from '../discovery/index.ts';
import type { Clock } from '../hooks/use-clock.ts';
import { ThemeProvider } from '../hooks/use-theme.ts';
import type { ScreenOwner } from './frames.ts';
import type { LoggedIn, LogInOptions } from '../sessions/login.ts';
import type { Runtime } from '../runtime.ts';
import { createTheme } from '../terminal/theme.ts';
import { Home } from '../screens/home/home.tsx';
import type { HomeServices } from '../screens/home/services.ts';
import type { Access, HomeSession, KnownAccess } from '../screens/home/state.ts';
import { startLogin } from '../screens/login/run.ts';

// Each screen listens to the process, and tests run many at once.
process.setMaxListeners(0);

export const startedAt = Date.parse('2026-03-01T10:00:00Z');
export const minute = 60_000;
export const hour = 60 * minute;

export function makeCluster(name: string, change: Partial<Cluster> = {}): Cluster {
  const answer = { state: 'here', version: '0.1.0', modes: ['direct'], labels: {} } as const;
  return { name, server: `http://tka-${name}.example.ts.net`, source: 'tailnet', trust: 'pinned', answer, ...change };
}

export function makeSession(role: string, change: Partial<HomeSession> = {}): HomeSession {
  const session = `alice-${role}-0123456789`;
  // The server ends a session 30 s after its period.
  const endsAt = (change.endsAt ?? startedAt + 8 * hour) + 30_000;
  return {
    session,
    state: 'ready',
    contexts: ['tka-dev'],
    current: false,
    role,
    periodMs: 8 * hour,
    ...change,
    endsAt,
  };
}

export function makeAccess(sessions: readonly HomeSession[], change: Partial<KnownAccess> = {}): KnownAccess {
  const rules = [
    { role: 'view', period: '8h', priority: 10 },
    { role: 'edit', period: '1h', priority: 5, namespaces: ['dev'] },
  ];
  return { state: 'known', username: 'alice@example.com', rules, dropped: [], sessions, ...change };
}

export interface World {
  clusters: readonly Cluster[];
  problem?: Error;
  /** The search ends when this resolves; default: at once. */
  searched?: Promise<void>;
  /** By the cluster's name. */
  access: Record<string, Access>;
  logIn?: (options: LogInOptions) => Promise<LoggedIn>;
  renew?: HomeServices['renew'];
  logOut?: HomeServices['logOut'];
  runShell?: HomeServices['runShell'];
}

/** Four clusters: two with sessions, one that does not answer, one that is not what it was. */
export function makeWorld(change: Partial<World> = {}): World {
  return {
    clusters: [
      makeCluster('dev'),
      makeCluster('prod', { trust: 'new' }),
      makeCluster('staging', { answer: { state: 'away', reason: 'no answer within 1 s' } }),
      makeCluster('test', { trust: 'changed' }),
    ],
    access: {
      dev: makeAccess([
        makeSession('view', { current: true }),
        makeSession('edit', { namespaces: ['dev', 'ops'], endsAt: startedAt + 9 * minute, contexts: ['tka-dev-edit'] }),
      ]),
      prod: makeAccess([makeSession('cluster-admin', { endsAt: startedAt + 42_000 })]),
      test: makeAccess([]),
    },
    ...change,
  };
}

export interface ShowOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly theme?: string;
  readonly isScreenReader?: boolean;
}

export interface HomeOnTerminal {
  /** What was called, in order: `find`, `access dev`, `login dev view` … */
  readonly calls: readonly string[];
  readonly frames: readonly string[];
  /** What was written besides frames. */
  readonly sequences: readonly string[];
  last(): string;
  /** Resolves with the first frame, the present one included, that matches. */
  seen(pattern: RegExp): Promise<string>;
  press(...keys: readonly string[]): Promise<void>;
  /** Moves the clock, second by second. */
  advance(ms: number): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  readonly signal: AbortController;
  readonly exited: Promise<unknown>;
}

export function showHome(t: ScreenOwner, world: World, options: ShowOptions = {}): HomeOnTerminal {
  const { columns = 80, rows = 24, env = {}, theme, isScreenReader = false } = options;
  const stdout = Object.assign(new EventEmitter(), {
    isTTY: true,
    columns,
    rows,
    write(text: string, flushed?: () => void) {
      // Ink itself asks for marked pastes, and for no more of them.
      if (text.startsWith('\u001B[?2004')) return true;
      if (text.startsWith('\u001B]') || text.startsWith('\u001B[?')) sequences.push(text);
      else if (text.trim() !== '') frames.push(text);
      stdout.emit('frame');
      if (flushed !== undefined) setImmediate(flushed);
      return true;
    },
  });
  const stdin = createStdin();
  const frames: string[] = [];
  const sequences: string[] = [];
  const calls: string[] = [];
  const clock = createManualClock();
  const signal = new AbortController();
  const screen = render(
    <ThemeProvider
      value={createTheme({ env: { LANG: 'C.UTF-8', TERM: 'xterm-256color', ...env }, platform: 'linux' }, theme)}
    >
      <Home services={servicesOf(world, calls, clock, signal.signal)} clock={clock} signal={signal.signal} />
    </ThemeProvider>,
    {
      // A terminal as far as Ink asks for one.
      stdin: stdin as unknown as NodeJS.ReadStream,
      stdout: stdout as unknown as NodeJS.WriteStream,
      interactive: true,
      debug: true,
      patchConsole: false,
      exitOnCtrlC: false,
      isScreenReaderEnabled: isScreenReader,
    },
  );
  t.teardown(() => screen.unmount());
  const last = (): string => frames.at(-1) ?? '';
  return {
    calls,
    frames,
    sequences,
    last,
    async seen(pattern) {
      const report = setTimeout(() => t.log(`${String(pattern)} is not in:\n${last()}`), 20_000);
      while (!pattern.test(last())) await once(stdout, 'frame');
      clearTimeout(report);
      return last();
    },
    async press(...keys) {
      for (const key of keys) {
        stdin.type(key);
        await turn();
        await turn();
      }
    },
    async advance(ms) {
      clock.advance(ms);
      await turn();
      await turn();
    },
    async resize(newColumns, newRows) {
      Object.assign(stdout, { columns: newColumns, rows: newRows });
      stdout.emit('resize');
      await turn();
    },
    signal,
    exited: screen.waitUntilExit(),
  };
}

function servicesOf(world: World, calls: string[], clock: Clock, signal: AbortSignal): HomeServices {
  const unexpected = (): never => {
    throw new Error('this world has none');
  };
  return {
    async findClusters({ onChange }: Pick<FindOptions, 'signal' | 'onChange'>): Promise<Found> {
      calls.push('find');
      onChange?.(world.clusters);
      await world.searched;
      return { clusters: world.clusters, ...(world.problem === undefined ? {} : { problem: world.problem }) };
    },
    async readAccess({ name }) {
      calls.push(`access ${name}`);
      return world.access[name] ?? makeAccess([]);
    },
    async recallAccess({ name }) {
      calls.push(`recall ${name}`);
      return world.access[name] ?? { state: 'failed', message: '', advice: [] };
    },
    use({ name }, session) {
      calls.push(`use ${name} ${session}`);
      return Promise.resolve({ context: 'tka-dev' });
    },
    startLogin({ name }, { role = '', period = '' }) {
      calls.push(`login ${name} ${role} ${period}`.trimEnd());
      // A login takes no more of it than the time and the way to stop.
      const runtime = { now: () => new Date(clock.now()), signal } as Runtime;
      const logIn = world.logIn ?? unexpected;
      return startLogin(runtime, { flags: {}, logIn: (_, options) => logIn(options) });
    },
    renew(cluster, session, options) {
      calls.push(`renew ${cluster.name} ${session}`);
      return (world.renew ?? unexpected)(cluster, session, options);
    },
    logOut(cluster, session, options) {
      calls.push(`logout ${cluster.name} ${session}`);
      return (world.logOut ?? unexpected)(cluster, session, options);
    },
    runShell(cluster, request) {
      calls.push(`shell ${cluster.name} ${request.role ?? ''}`.trimEnd());
      return (world.runShell ?? unexpected)(cluster, request);
    },
  };
}

function createStdin() {
  const typed: string[] = [];
  const noop = (): void => undefined;
  const stdin = Object.assign(new EventEmitter(), {
    isTTY: true,
    read: () => typed.shift() ?? null,
    setRawMode: noop,
    setEncoding: noop,
    resume: noop,
    pause: noop,
    ref: noop,
    unref: noop,
    type(key: string) {
      typed.push(key);
      stdin.emit('readable');
    },
  });
  return stdin;
}

function createManualClock(): Clock & { advance(ms: number): void } {
  let now = startedAt;
  const listeners = new Set<{ readonly ms: number; readonly listener: () => void }>();
  return {
    now: () => now,
    every(ms, listener) {
      const one = { ms, listener };
      listeners.add(one);
      return () => listeners.delete(one);
    },
    advance(ms) {
      for (const end = now + ms; now < end;) {
        now = Math.min(end, now + 1000);
        for (const one of listeners) if (now % one.ms === 0) one.listener();
      }
    },
  };
}

/** Effects, timers of no length and what promises bring. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
