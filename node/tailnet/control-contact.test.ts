import { EventEmitter } from 'node:events';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { manualClock } from '../../reconciler/testing/manual-clock.ts';
import { contactOf, followControl } from './control-contact.ts';
import type { Config } from '../config/settings.ts';
import { FIRST_STATE } from '../tsnet/states.ts';
import type { NodeState } from '../tsnet/node.ts';

const epoch = Date.parse('2026-01-01T00:00:00Z');

function setup(t: ExecutionContext, { loginsMs = 60_000, sessionsMs = 600_000 } = {}) {
  const node = new EventEmitter();
  const log: [string, object, string][] = [];
  // A clock that only goes forward has another origin than the epoch.
  const clock = manualClock(77);
  const contact = followControl({
    node,
    server: 'https://control.example',
    loginsMs,
    sessionsMs,
    log: {
      info: (fields: object, text: string) => void log.push(['info', fields, text]),
      warn: (fields: object, text: string) => void log.push(['warn', fields, text]),
    },
    clock,
    date: () => epoch + clock.now() - 77,
  });
  t.teardown(() => contact.stop());
  return {
    contact,
    node,
    log,
    clock,
    at: (seconds: number): Promise<void> => clock.advance(seconds * 1000 + 77 - clock.now()),
    says: (state: Partial<NodeState>): void => {
      node.emit('state', { ...FIRST_STATE, status: 'Running', ready: true, ...state });
    },
  };
}

const secondsIn = (seconds: number): string => new Date(epoch + seconds * 1000).toISOString().replace('.000', '');

test('with contact, nothing is past a limit and nothing is logged', async (t) => {
  const { contact, log, says, at } = setup(t);
  says({});
  await at(10_000);
  t.deepEqual([contact.awayMs(), contact.isPastLogins(), contact.describe()], [0, false, undefined]);
  t.deepEqual(log, []);
});

test('the time without contact counts from the last contact, not from its report', async (t) => {
  const { contact, log, says, at } = setup(t);
  await at(50);
  says({ controlAway: secondsIn(40) });
  t.is(contact.awayMs(), 10_000);
  t.false(contact.isPastLogins());
  t.is(contact.describe(), 'no contact with the control server https://control.example for 10 s');
  await at(99);
  t.false(contact.isPastLogins());
  await at(100);
  t.true(contact.isPastLogins());
  t.like(log[0], [
    'warn',
    { since: secondsIn(40), loginsUntilSeconds: 50, sessionsUntilSeconds: 590 },
    'no contact with the control server: grants cannot be confirmed',
  ]);
});

test('contact that returns resets the time, with a line that says for how long it was lost', async (t) => {
  const { contact, log, says, at } = setup(t);
  says({ controlAway: secondsIn(0) });
  await at(30);
  says({});
  t.deepEqual([contact.awayMs(), contact.describe()], [0, undefined]);
  t.like(log.at(-1), ['info', { awaySeconds: 30 }, 'contact with the control server again']);
  await at(50);
  says({ controlAway: secondsIn(45) });
  t.is(contact.awayMs(), 5000);
});

test('an engine that restarts without contact does not start the time again', async (t) => {
  const { contact, log, says, at } = setup(t);
  says({ controlAway: secondsIn(0) });
  await at(40);
  says({ status: 'Restarting', ready: false });
  await at(50);
  says({ controlAway: secondsIn(45) });
  t.is(contact.awayMs(), 50_000);
  t.is(log.length, 1);
});

test('a last contact that an engine knows to be older than was known before counts', async (t) => {
  const { contact, says, at } = setup(t);
  await at(50);
  says({ controlAway: secondsIn(40) });
  says({ controlAway: secondsIn(30) });
  t.is(contact.awayMs(), 20_000);
});

test('the log says once that logins are refused, when their limit is over', async (t) => {
  const { log, says, at } = setup(t);
  await at(50);
  says({ controlAway: secondsIn(40) });
  await at(99);
  t.is(log.length, 1);
  await at(200);
  t.is(log.length, 2);
  t.deepEqual(log[1], [
    'warn',
    { server: 'https://control.example', awaySeconds: 60 },
    'new logins are refused: no contact with the control server',
  ]);
});

test('a limit that is over when the loss is found is logged at once', async (t) => {
  const { log, says, at } = setup(t);
  await at(500);
  says({ controlAway: secondsIn(40) });
  await at(500);
  t.regex(String(log.at(-1)?.[2]), /new logins are refused/);
});

test('contact that returns within the limit, and a server that stops, log no refusal of logins', async (t) => {
  const { contact, node, clock, log, says, at } = setup(t);
  says({ controlAway: secondsIn(0) });
  await at(30);
  says({});
  t.is(clock.timers, 0);
  says({ controlAway: secondsIn(30) });
  contact.stop();
  t.deepEqual([clock.timers, node.listenerCount('state')], [0, 0]);
  t.deepEqual(
    log.map(([level]) => level),
    ['warn', 'info', 'warn'],
  );
});

test('the limits of the settings are seconds, and the control server of no setting is Tailscale', (t) => {
  for (const [url, server] of [
    ['', 'https://controlplane.tailscale.com'],
    ['https://c.example', 'https://c.example'],
  ]) {
    const node = new EventEmitter();
    const log: object[] = [];
    const config = {
      'tailscale.controlUrl': url,
      'limits.offlineLoginSeconds': 900,
      'limits.unknownGrantSeconds': 3600,
    } as Config;
    const contact = contactOf(config, node, { info: () => {}, warn: (fields: object) => void log.push(fields) });
    const state = { ...FIRST_STATE, ready: true, controlAway: new Date(Date.now() - 100_000).toISOString() };
    node.emit('state', state satisfies NodeState);
    t.like(log[0], { server, loginsUntilSeconds: 800, sessionsUntilSeconds: 3500 });
    t.is(Math.round(contact.awayMs() / 1000), 100);
    t.false(contact.isPastLogins());
    contact.stop();
  }
});

test('logins are refused no later than sessions end', async (t) => {
  const { contact, says, at } = setup(t, { loginsMs: 900_000, sessionsMs: 20_000 });
  says({ controlAway: secondsIn(0) });
  await at(20);
  t.true(contact.isPastLogins());
});

test('an engine whose clock is ahead does not make time negative', (t) => {
  const { contact, says } = setup(t);
  says({ controlAway: secondsIn(500) });
  t.is(contact.awayMs(), 0);
});
