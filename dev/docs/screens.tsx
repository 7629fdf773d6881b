/** The pictures of the README: the real screens, drawn by Ink in a made-up world under a clock that stands still. */
import { LoginProgress } from '../../tui/screens/login/progress.tsx';
import { startLogin } from '../../tui/screens/login/run.ts';
import { type ScreenOwner, show } from '../../tui/testing/frames.ts';
import { hour, makeAccess, makeCluster, makeSession, minute, showHome, startedAt } from '../../tui/testing/home.tsx';
import { aliceLoggedIn, stagedLogIn, testClock, testRuntime } from '../../tui/testing/login.ts';
import { terminalSvg } from './terminal-svg.ts';

const columns = 80;

/** By file name in docs/images. */
export async function renderScreens(): Promise<Readonly<Record<string, string>>> {
  const ends: (() => void)[] = [];
  const owner: ScreenOwner = {
    teardown: (end: () => void) => void ends.push(end),
    log: (...lines) => void process.stderr.write(`${lines.join('\n')}\n`),
  };
  try {
    return {
      'home.svg': terminalSvg({ title: 'tka: clusters and sessions', text: await home(owner), columns }),
      'login.svg': terminalSvg({ title: 'tka login', text: await login(owner), columns }),
    };
  } finally {
    for (const end of ends) end();
  }
}

async function home(owner: ScreenOwner): Promise<string> {
  const rules = [
    { role: 'view', period: '8h', priority: 10 },
    { role: 'edit', period: '1h', priority: 5, namespaces: ['dev', 'staging'] },
  ];
  const sessions = [
    makeSession('view', { contexts: ['tka-demo-view'], current: true, endsAt: startedAt + 7 * hour + 48 * minute }),
    makeSession('edit', {
      contexts: ['tka-demo-edit'],
      namespaces: ['dev', 'staging'],
      periodMs: hour,
      endsAt: startedAt + 9 * minute,
    }),
  ];
  const screen = showHome(
    owner,
    {
      clusters: [makeCluster('demo', { server: 'http://tka.example.ts.net' }), makeCluster('production')],
      access: {
        demo: makeAccess(sessions, { rules }),
        production: makeAccess([], { rules: [{ role: 'view', period: '8h', priority: 10 }] }),
      },
    },
    { columns, rows: 12, theme: 'dark' },
  );
  return screen.seen(/tka-demo-edit[^]*production[^]*view/);
}

async function login(owner: ScreenOwner): Promise<string> {
  const { now, pass } = testClock();
  const staged = stagedLogIn();
  const run = startLogin(testRuntime({ now }), { flags: {}, logIn: staged.logIn });
  const frames = show(owner, <LoginProgress run={run} now={now} />, 'dark');
  const stages = [
    ['server', 38, 'demo at http://tka.example.ts.net'],
    ['identity', 21, 'alice@example.com'],
    ['grant', 4, 'view for 8h'],
    ['sign-in', 12, undefined],
    ['provisioning', 31, undefined],
    ['usable', 46, undefined],
    ['kubeconfig', 9, '/home/alice/.kube/config'],
  ] as const;
  for (const [stage, ms, detail] of stages) {
    staged.begin(stage);
    pass(ms);
    staged.done(stage, detail);
  }
  const { namespaces: _, ...whole } = aliceLoggedIn;
  staged.succeed({ ...whole, cluster: 'demo', mode: 'proxy', url: 'https://tka.example.ts.net', context: 'tka-demo-view' });
  return frames.seen(/Logged in[^]*until/);
}
