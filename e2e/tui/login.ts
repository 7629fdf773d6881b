/** `tka login` on a terminal. */
import test from 'ava';
import { colours, isClean, type Place, policy, tiedPolicy } from './place.ts';

export function loginCases(place: () => Place): void {
  test.serial('alice logs in on the screen: each stage, then what she has now', async (t) => {
    const terminal = await place().open(t, 'alice@example.com', ['login']);
    t.is(await terminal.exitCode(), 0);
    const screen = await terminal.screen();
    const stages = ['Find the server', 'Identify', 'Check grants', 'Log in', 'Provision access', 'Verify access'];
    for (const stage of [...stages, 'Write kubeconfig']) {
      t.regex(screen, new RegExp(`^✓ ${stage} +[\\d.]+ (ms|s)\\b`, 'm'));
    }
    t.regex(screen, /who +alice@example\.com/);
    t.regex(screen, /role +cluster-admin in the whole cluster/);
    t.regex(screen, /until .*\d\d:\d\d, for 8h00m/);
    await isClean(t, terminal);

    const context = /context +(\S+) in/.exec(screen)?.[1] ?? '';
    const alice = place().as('alice@example.com');
    t.is((await alice.kubectl('--context', context, 'get', 'namespaces')).code, 0);
    t.is((await place().sessions()).length, 1);
  });

  test.serial('carol, whom the policy grants nothing, sees where and why, once', async (t) => {
    const terminal = await place().open(t, 'carol@example.com', ['login']);
    t.is(await terminal.exitCode(), 3);
    const screen = await terminal.screen();
    t.regex(screen, /^✗ Check grants/m);
    t.regex(screen, /^error: .*grants you no role/m);
    t.is(screen.split('grants you no role').length, 2, screen);
    t.notRegex(screen, /✓ Log in|\n\s+at /);
    await isClean(t, terminal);
    t.is(place().kubeconfig('carol@example.com'), '');
  });

  test.serial(
    'a server that was found and never used is used only after a yes, and then without a question',
    async (t) => {
      const found = { env: { TKA_SERVER: '' } };
      const asked = await place().open(t, 'bob@example.com', ['login'], found);
      t.regex(await asked.waitFor(/y yes/), /tag:tka/);
      await asked.press('Enter');
      t.is(await asked.exitCode(), 3);
      await isClean(t, asked);
      t.is(place().kubeconfig('bob@example.com'), '');
      t.deepEqual(await place().sessions(), []);

      const again = await place().open(t, 'bob@example.com', ['login'], found);
      await again.waitFor(/y yes/);
      await again.type('y');
      t.is(await again.exitCode(), 0, await again.screen());
      const known = await place().open(t, 'bob@example.com', ['login'], found);
      t.is(await known.exitCode(), 0, await known.screen());
      await isClean(t, again);
    },
  );

  test.serial('where two rules tie, alice chooses on the screen', async (t) => {
    await place().stack.policy.write(tiedPolicy);
    try {
      const terminal = await place().open(t, 'alice@example.com', ['login']);
      t.regex(await terminal.waitFor(/❯ \w+[^]*enter select/), /edit +edit in default/);
      await terminal.press('Down', 'Enter');
      t.is(await terminal.exitCode(), 0, await terminal.screen());
      t.regex(await terminal.screen(), /role +view in the whole cluster/);
    } finally {
      await place().stack.policy.write(policy);
    }
  });

  test.serial('a terminal that gets narrower meanwhile shows each stage once', async (t) => {
    const { kubernetes } = place().stack;
    kubernetes.pause();
    const terminal = await place().open(t, 'alice@example.com', ['login']);
    await terminal.waitFor(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Log in/);
    await terminal.resize(60, 24);
    kubernetes.resume();
    t.is(await terminal.exitCode(), 0, await terminal.screen());
    const all = await terminal.scrollback();
    for (const stage of ['Find the server', 'Identify', 'Log in']) t.is(all.split(stage).length, 2, all);
    t.regex(all, /until .*for 8h00m/);
    await isClean(t, terminal);
  });

  test.serial('Ctrl-C while the cluster does not answer leaves no access behind', async (t) => {
    const { kubernetes } = place().stack;
    kubernetes.pause();
    const terminal = await place().open(t, 'alice@example.com', ['login']);
    await terminal.waitFor(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Log in/);
    await terminal.press('C-c');
    t.is(await terminal.exitCode(), 130);
    await isClean(t, terminal);
    kubernetes.resume();
    t.is(place().kubeconfig('alice@example.com'), '');

    // Whether the server had begun one or not: what there is can be seen, and ended.
    const alice = place().as('alice@example.com');
    const status = await alice.tka('status', '-o', 'json');
    t.is(status.code, 0, status.stderr);
    t.is((await alice.tka('logout')).code, 0);
    await place().sessionsAre(0);
  });

  test.serial('colours with a colour terminal, none with NO_COLOR, no escapes on a dumb terminal', async (t) => {
    const coloured = await place().open(t, 'alice@example.com', ['login']);
    t.is(await coloured.exitCode(), 0);
    t.regex(await coloured.screenWithColours(), colours);

    const plain = await place().open(t, 'alice@example.com', ['login'], { env: { NO_COLOR: '1' } });
    t.is(await plain.exitCode(), 0);
    t.notRegex(await plain.screenWithColours(), colours);

    const dumb = await place().open(t, 'alice@example.com', ['login'], { env: { TERM: 'dumb' } });
    t.is(await dumb.exitCode(), 0);
    const lines = await dumb.screen();
    t.regex(lines, /^\+ Log in \([\d.]+ m?s\)/m);
    t.regex(lines, /^Logged in\.$/m);
    t.regex(lines, /^[ -~\n]*$/);
    t.is(await dumb.screenWithColours(), lines);
    await isClean(t, dumb);
  });
}
