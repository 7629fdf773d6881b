import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { Interrupted, RefusedError } from '../../errors.ts';
import type { LoggedIn } from '../../sessions/login.ts';
import { hour, makeAccess, makeCluster, makeSession, makeWorld, showHome, startedAt } from '../../testing/home.tsx';
import { aliceLoggedIn } from '../../testing/login.ts';

const loggedIn: LoggedIn = {
  ...aliceLoggedIn,
  cluster: 'dev',
  context: 'tka-dev',
  until: new Date(startedAt + 8 * hour + 30_000),
};

test('enter logs in; its stages are seen, then what came of it, and the session appears', async (t) => {
  const world = makeWorld();
  const answered = Promise.withResolvers<void>();
  world.access['dev'] = makeAccess([]);
  world.logIn = async ({ onStage }) => {
    onStage?.({ stage: 'server', state: 'done', detail: 'http://tka-dev' });
    onStage?.({ stage: 'provisioning', state: 'running' });
    await answered.promise;
    world.access['dev'] = makeAccess([makeSession('view')]);
    return loggedIn;
  };
  const home = showHome(t, world);
  await home.seen(/view 8h/);
  await home.press('\r');
  t.regex(await home.seen(/Provision access/), /Find the server/);
  answered.resolve();
  const frame = await home.seen(/Logged in at dev as view, for 8h00m\./);
  t.regex(frame, /Context tka-dev is in .*config\. kubectl uses it now\./);
  await home.seen(/8:00:00 left/);
  await home.press('j');
  t.notRegex(home.last(), /Logged in/);
});

test('a login that fails says why and what to do, until a key', async (t) => {
  const logIn = (): Promise<LoggedIn> =>
    Promise.reject(
      new RefusedError(422, 'unprocessable', 'the role view does not exist', ['Ask who keeps the cluster.']),
    );
  const home = showHome(t, makeWorld({ logIn }));
  await home.seen(/view 8h/);
  await home.press('\r');
  t.regex(await home.seen(/✗ the role view does not exist/), /Ask who keeps the cluster\./);
  await home.press('j');
  t.notRegex(home.last(), /does not exist/);
});

test('a question of a login is asked on the screen, and its keys mean nothing else meanwhile', async (t) => {
  const answers: boolean[] = [];
  const home = showHome(
    t,
    makeWorld({
      async logIn({ interaction }) {
        answers.push((await interaction?.confirm({ title: 'Trust tka-prod?', details: ['node nXyz'] })) ?? false);
        throw new RefusedError(403, undefined, 'not agreed', []);
      },
    }),
  );
  await home.seen(/view 8h/);
  await home.press('\r');
  t.regex(await home.seen(/Trust tka-prod\?[^]*y yes/), /node nXyz/);
  await home.press('n');
  await home.seen(/not agreed/);
  t.deepEqual(answers, [false]);
});

test('n renews the session, and what is left is shown at once', async (t) => {
  const home = showHome(
    t,
    makeWorld({
      renew: () =>
        Promise.resolve({ until: new Date(startedAt + 16 * hour + 30_000), skewMs: 0, contexts: ['tka-dev'] }),
    }),
  );
  await home.seen(/8:00:00/);
  await home.press('j', 'n');
  t.regex(await home.seen(/Renewed at dev: alice-view-0123456789, for 16h00m\./), /16:00:00 left/);
  t.true(home.calls.includes('renew dev alice-view-0123456789'));
});

test('a question of a renewal is asked on the screen; esc says no, ctrl-c stops and quits', async (t) => {
  const answers: unknown[] = [];
  const world = makeWorld({
    async renew(_cluster, _session, { interaction, signal }) {
      answers.push(await interaction.confirm({ title: 'Still trust tka-dev?' }));
      answers.push(await interaction.confirm({ title: 'Really?' }).catch(() => signal.aborted));
      throw new Interrupted('SIGINT');
    },
  });
  const home = showHome(t, world);
  await home.seen(/8:00:00/);
  await home.press('j', 'n');
  await home.seen(/Still trust tka-dev\?[^]*y yes/);
  await home.press('\u001B');
  await home.seen(/Really\?[^]*y yes/);
  await home.press('\u0003');
  await t.throwsAsync(home.exited, { instanceOf: Interrupted });
  t.deepEqual(answers, [false, true]);
});

test('r picks a role and a period', async (t) => {
  const home = showHome(t, makeWorld({ logIn: () => Promise.resolve(loggedIn) }));
  await home.seen(/view 8h/);
  await home.press('r');
  await home.seen(/Which role\?/);
  await home.press('j', '\r');
  await home.seen(/For how long as edit\?/);
  await home.press('j', '\r');
  await home.seen(/Logged in/);
  t.true(home.calls.includes('login dev edit 30m'), home.calls.join());
});

test('o asks, a second o logs out; another key keeps the session', async (t) => {
  const world = makeWorld();
  world.logOut = async () => {
    world.access['dev'] = makeAccess([]);
    return { contexts: ['tka-dev'] };
  };
  const home = showHome(t, world);
  await home.seen(/8:00:00/);
  await home.press('j', 'o');
  t.regex(await home.seen(/Log out of view in the whole cluster at dev\?/), /any other key cancel/);
  await home.press('x');
  t.notRegex(home.last(), /Log out of/);
  await home.press('o', 'o');
  t.regex(await home.seen(/Logged out of alice-view-0123456789 at dev\./), /Removed context tka-dev\./);
  t.deepEqual(
    home.calls.filter((call) => call.startsWith('logout')),
    ['logout dev alice-view-0123456789'],
  );
  await home.seen(/1 session$/m);
});

test('esc stops what is being done', async (t) => {
  let aborted = false;
  const home = showHome(
    t,
    makeWorld({
      logOut: (_cluster, _session, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            reject(new Error('aborted'));
          });
        }),
    }),
  );
  await home.seen(/8:00:00/);
  await home.press('j', 'o', 'o');
  await home.seen(/Logging out of alice-view-0123456789 at dev …\s+esc cancel/);
  await home.press('\u001B');
  await home.seen(/Stopped\./);
  t.true(aborted);
});

test('s hands the terminal to a shell, and repaints after', async (t) => {
  const ended = Promise.withResolvers<number>();
  const home = showHome(t, makeWorld({ runShell: () => ended.promise }));
  await home.seen(/8:00:00/);
  await home.press('j', 's');
  while (!home.calls.includes('shell dev view')) await turn();
  const during = home.frames.length;
  await home.press('q', 'j');
  await home.advance(2000);
  t.is(home.frames.length, during, 'nothing is drawn over the shell, and its keys are its own');
  ended.resolve(3);
  t.regex(await home.seen(/Shell closed \(exit code 3\)\./), /7:59:58 left/);
});

test('y sends the name of the context to the clipboard and shows it', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/8:00:00/);
  await home.press('j', 'y');
  await home.seen(/Context tka-dev was copied to the clipboard/);
  t.deepEqual(home.sequences, [`\u001B]52;c;${Buffer.from('tka-dev').toString('base64')}\u0007`]);
});

test('/ filters as it is typed', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/staging/);
  await home.press('/', 's', 't', 'a');
  t.notRegex(await home.seen(/\/sta/), /prod|dev/);
  await home.press('x');
  t.regex(home.last(), /No cluster is named like "stax"/);
  await home.press('\u001B[B', '\u007F', '\r', '\u001B');
  await home.seen(/prod/);
});

test('? shows the keys, any key goes back', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/staging/);
  await home.press('?');
  t.regex(home.last(), /Keys\n.*select; g first, G last[^]*a second o confirms[^]*Any key goes back\./);
  await home.press('q');
  t.regex(home.last(), /staging/);
});

test('a list that is longer than the screen moves with the selection', async (t) => {
  const clusters = Array.from({ length: 40 }, (_, i) => makeCluster(`c${String(i).padStart(2, '0')}`));
  const home = showHome(t, makeWorld({ clusters, access: {} }));
  t.regex(await home.seen(/c00/), /↓ \d+ more/);
  await home.press('G');
  t.regex(home.last(), /❯ c39/);
  t.regex(home.last(), /↑ \d+ more/);
  await home.press('g');
  t.regex(home.last(), /❯ c00/);
});

test('R refreshes', async (t) => {
  const world = makeWorld({ clusters: [] });
  const home = showHome(t, world);
  await home.seen(/No cluster was found/);
  world.clusters = [makeCluster('dev')];
  await home.press('R');
  await home.seen(/view 8h/);
  t.is(home.calls.filter((call) => call === 'find').length, 2);
});

for (const [name, key] of [
  ['q', 'q'],
  ['ctrl-c', '\u0003'],
] as const) {
  test(`${name} quits`, async (t) => {
    const home = showHome(t, makeWorld());
    await home.seen(/8:00:00/);
    await home.press(key);
    if (name === 'q') await t.notThrowsAsync(home.exited);
    else await t.throwsAsync(home.exited, { instanceOf: Interrupted });
  });
}

test('ctrl-c while logging in stops the login in its own order, then quits', async (t) => {
  const order: string[] = [];
  const home = showHome(
    t,
    makeWorld({
      logIn: ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => {
            order.push('stopping');
            setImmediate(() => {
              order.push('stopped');
              reject(new Interrupted('SIGINT'));
            });
          });
        }),
    }),
  );
  await home.seen(/8:00:00/);
  await home.press('\r');
  await home.seen(/Find the server/);
  await home.press('\u0003');
  await t.throwsAsync(home.exited, { instanceOf: Interrupted });
  t.deepEqual(order, ['stopping', 'stopped']);
});

test('a signal quits', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/8:00:00/);
  home.signal.abort(new Interrupted('SIGTERM'));
  await t.notThrowsAsync(home.exited);
});

const bracketed = (text: string): string => `\u001B[200~${text}\u001B[201~`;

for (const [title, pasted] of [
  ['a paste that the terminal marks', bracketed('qo\n')],
  ['a paste that it does not mark', 'qo\r'],
  ['one of many lines', bracketed('\rnoos\rr\rq\r')],
  ['one with Ctrl-C in it', bracketed('\u0003')],
] as const) {
  test(`${title} does nothing on the home screen`, async (t) => {
    const home = showHome(t, makeWorld());
    await home.seen(/view 8h/);
    await home.press('j');
    const before = home.last();
    const calls = [...home.calls];
    await home.press(pasted);
    await home.advance(1000);
    t.is(home.last().replaceAll(/\d+:\d\d:\d\d/g, ''), before.replaceAll(/\d+:\d\d:\d\d/g, ''));
    t.deepEqual(home.calls, calls);
    // Not quit, either.
    await home.press('?');
    await home.seen(/Any key goes back/);
  });
}

test('a paste into the filter is its text, in one line', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/view 8h/);
  await home.press('/', bracketed(' qo\u001B[31m\nstaging\n'));
  t.regex(await home.seen(/\/qo \[31m staging/), /No cluster is named like/);
});

test('a paste where a role is chosen chooses none; where a period is typed it is text', async (t) => {
  const home = showHome(t, makeWorld());
  await home.seen(/view 8h/);
  await home.press('r');
  await home.seen(/Which role\?/);
  await home.press(bracketed('j\r'), 'q\r');
  t.regex(home.last(), /❯ view/);
  await home.press('\r');
  await home.seen(/For how long as view\?/);
  await home.press('\u001B[F', '\r');
  await home.seen(/at most 8h/);
  await home.press(bracketed('90m\n'));
  t.regex(await home.seen(/\? 90m/), /at most 8h/);
  t.false(home.calls.some((call) => call.startsWith('login')));
});
