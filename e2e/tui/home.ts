/** `tka` with no arguments: the home screen. */
import test from 'ava';
import type { Terminal } from '../terminal.ts';
import { until } from '../../dev/stack/until.ts';
import { colours, isClean, type Place } from './place.ts';

const remaining = (screen: string): number | undefined => {
  const match = /(\d+):(\d\d):(\d\d) left/.exec(screen);
  if (match === null) return undefined;
  const [hours = 0, minutes = 0, seconds = 0] = match.slice(1).map(Number);
  return (hours * 60 + minutes) * 60 + seconds;
};

async function loggedIn(terminal: Terminal): Promise<number> {
  await terminal.waitFor(/❯ stack +cluster-admin/);
  await terminal.press('Enter');
  const seconds = remaining(await terminal.waitFor(/cluster-admin .* (?:8:00|7:59):\d\d left/));
  if (seconds === undefined) throw new Error('no countdown');
  return seconds;
}

export function homeCases(place: () => Place): void {
  test.serial('alice finds the cluster, logs in, watches the time go, renews and logs out', async (t) => {
    const terminal = await place().open(t, 'alice@example.com', []);
    await terminal.waitFor(/stack +cluster-admin 8h, view 1h/);
    t.deepEqual(await terminal.modes(), { cursor: false, alternateScreen: true });

    const first = await loggedIn(terminal);
    t.is((await place().sessions()).length, 1);
    t.regex(place().kubeconfig('alice@example.com'), /current-context: tka-stack-cluster-admin/);

    const later = await until(
      async () => {
        const seconds = remaining(await terminal.screen());
        return seconds !== undefined && seconds <= first - 3 && seconds;
      },
      { what: 'the countdown to move', timeoutMs: 15_000 },
    );
    await terminal.type('n');
    await terminal.waitFor(/Renewed at stack/);
    await until(async () => (remaining(await terminal.screen()) ?? 0) > later, {
      what: `more than ${later} s to be left after a renewal`,
      timeoutMs: 10_000,
    });
    t.is((await place().sessions()).length, 1);

    await terminal.type('o');
    await terminal.waitFor(/Log out of .*\?/);
    t.is((await place().sessions()).length, 1);
    await terminal.type('o');
    await terminal.waitFor(/Logged out of/);
    await place().sessionsAre(0);
    t.notRegex(place().kubeconfig('alice@example.com'), /tka-stack/);

    await terminal.type('q');
    t.is(await terminal.exitCode(), 0);
    await isClean(t, terminal);
  });

  test.serial('a cluster that was found and never used is agreed to within the screen', async (t) => {
    const terminal = await place().open(t, 'bob@example.com', [], { env: { TKA_SERVER: '' } });
    await terminal.waitFor(/❯ stack +view 1h +○ new/);
    await terminal.press('Enter');
    t.regex(await terminal.waitFor(/y yes/), /tag:tka/);
    await terminal.type('n');
    await terminal.waitFor(/✗ .*(trust|agree|believe)/i);
    t.deepEqual(await place().sessions(), []);
    await terminal.press('Enter');
    await terminal.waitFor(/y yes/);
    await terminal.type('y');
    await terminal.waitFor(/view .* (1:00|0:59):\d\d left/);
    await terminal.type('q');
    t.is(await terminal.exitCode(), 0);
  });

  test.serial('a second key that is another one keeps the session', async (t) => {
    const terminal = await place().open(t, 'alice@example.com', []);
    await loggedIn(terminal);
    await terminal.type('o');
    await terminal.waitFor(/Log out of .*\?/);
    await terminal.press('Escape');
    await terminal.waitFor(/^(?!.*Log out of).*$/s);
    t.is((await place().sessions()).length, 1);
  });

  test.serial('another role for a shorter time is picked with keys', async (t) => {
    const terminal = await place().open(t, 'alice@example.com', []);
    await terminal.waitFor(/❯ stack +cluster-admin/);
    await terminal.type('r');
    await terminal.waitFor(/❯ cluster-admin/);
    await terminal.press('Down', 'Enter');
    await terminal.waitFor(/For how long as view\?/);
    await terminal.press('Down', 'Enter');
    await terminal.waitFor(/view .* 0:(30|29):\d\d left/);
    t.is((await place().sessions()).length, 1);
  });

  test.serial('? shows the keys, and any key goes back', async (t) => {
    const terminal = await place().open(t, 'alice@example.com', []);
    await terminal.waitFor(/❯ stack/);
    await terminal.type('?');
    t.regex(await terminal.waitFor(/Any key goes back/), /renew the session/);
    await terminal.type('x');
    await terminal.waitFor(/❯ stack/);
  });

  test.serial(
    'at 60 columns everything is there, also after a resize, and nothing is left of the wider screen',
    async (t) => {
      const terminal = await place().open(t, 'alice@example.com', []);
      await loggedIn(terminal);
      await terminal.resize(60, 24);
      await terminal.type('?');
      await terminal.waitFor(/Any key goes back/);
      await terminal.type('?');
      const resized = await terminal.waitFor(/❯ stack[^]*left/);
      const narrow = await place().open(t, 'alice@example.com', [], { columns: 60 });
      const fresh = await narrow.waitFor(/❯ stack[^]*left/);
      const still = (screen: string): string => screen.replaceAll(/\d:\d\d:\d\d/g, 'h:mm:ss');
      t.is(still(resized), still(fresh));
      for (const text of ['cluster-admin', 'left', 'enter', 'quit']) t.true(fresh.includes(text), fresh);
    },
  );

  test.serial('Ctrl-C during a login stops it, gives the terminal back and leaves nothing', async (t) => {
    const { kubernetes } = place().stack;
    const terminal = await place().open(t, 'alice@example.com', []);
    await terminal.waitFor(/❯ stack +cluster-admin/);
    kubernetes.pause();
    await terminal.press('Enter');
    await terminal.waitFor(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] Log in/);
    await terminal.press('C-c');
    await terminal.exitCode();
    await isClean(t, terminal);
    kubernetes.resume();
    t.is(place().kubeconfig('alice@example.com'), '');
    t.is((await place().as('alice@example.com').tka('logout')).code, 0);
    await place().sessionsAre(0);
  });

  test.serial('no colours with NO_COLOR', async (t) => {
    const plain = await place().open(t, 'alice@example.com', [], { env: { NO_COLOR: '1' } });
    await loggedIn(plain);
    t.notRegex(await plain.screenWithColours(), colours);
    const coloured = await place().open(t, 'alice@example.com', []);
    await coloured.waitFor(/8:00:\d\d left|7:59:\d\d left/);
    t.regex(await coloured.screenWithColours(), colours);
  });
}
