/**
 * A login that goes as a test says, under a clock that only the test moves.
 */
import type { Interaction } from '../terminal/interaction.ts';
import type { LoggedIn, LogInOptions, LoginStage } from '../sessions/login.ts';
import type { Runtime } from '../runtime.ts';
import type { LogIn } from '../screens/login/run.ts';

export const aliceLoggedIn: LoggedIn = {
  server: 'http://tka',
  cluster: 'prod',
  session: 'alice-0123456789',
  username: 'alice@example.com',
  role: 'view',
  namespaces: ['dev', 'test'],
  until: new Date('2026-03-01T17:42:00Z'),
  mode: 'direct',
  url: 'https://10.0.0.1:6443',
  context: 'tka-prod',
  current: true,
  kubeconfig: '/home/alice/.kube/config',
};

export interface StagedLogIn {
  readonly logIn: LogIn;
  readonly begin: (stage: LoginStage) => void;
  readonly done: (stage: LoginStage, detail?: string) => void;
  readonly warn: (line: string) => void;
  readonly succeed: (session?: LoggedIn) => void;
  readonly fail: (error: unknown) => void;
  readonly signal: AbortSignal;
  readonly interaction: Interaction | undefined;
  readonly options: LogInOptions;
}

/** As `logIn`, ends when it is aborted. */
export function stagedLogIn({ ignoresAbort = false }: { readonly ignoresAbort?: boolean } = {}): StagedLogIn {
  const { promise, resolve, reject } = Promise.withResolvers<LoggedIn>();
  let options: LogInOptions | undefined;
  const given = (): LogInOptions => {
    if (options === undefined) throw new Error('the login has not begun');
    return options;
  };
  return {
    logIn(_runtime, received) {
      options = received;
      const { signal } = received;
      if (!ignoresAbort) signal?.addEventListener('abort', () => reject(signal.reason as Error));
      return promise;
    },
    begin: (stage) => given().onStage?.({ stage, state: 'running' }),
    done: (stage, detail) => given().onStage?.({ stage, state: 'done', ...(detail === undefined ? {} : { detail }) }),
    warn: (line) => given().warn(line),
    succeed: (session = aliceLoggedIn) => resolve(session),
    fail: reject,
    get options() {
      return given();
    },
    get signal() {
      const { signal } = given();
      if (signal === undefined) throw new Error('no signal was given');
      return signal;
    },
    get interaction() {
      return given().interaction;
    },
  };
}

export interface TestClock {
  readonly now: () => Date;
  readonly pass: (ms: number) => void;
}

export function testClock(at = '2026-03-01T09:42:00Z'): TestClock {
  let ms = Date.parse(at);
  return { now: () => new Date(ms), pass: (by) => void (ms += by) };
}

/** What a login needs of a runtime. */
export function testRuntime(parts: Partial<Runtime> = {}): Runtime {
  const stream = { write: () => true };
  return {
    env: { LANG: 'C.UTF-8', TERM: 'xterm' },
    stdout: stream,
    stderr: stream,
    terminal: () => {
      throw new Error('this test has no terminal');
    },
    platform: 'linux',
    pid: 1,
    execPath: '/usr/bin/node',
    script: '/usr/bin/tka',
    now: testClock().now,
    signal: new AbortController().signal,
    ...parts,
  };
}
