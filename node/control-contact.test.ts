import { EventEmitter } from 'node:events';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { followControl } from './control-contact.ts';
import { FIRST_STATE } from './tsnet/states.ts';
import type { NodeState } from './tsnet/node.ts';

const epoch = Date.parse('2026-01-01T00:00:00Z');

function setup(t: ExecutionContext, { loginsMs = 60_000, sessionsMs = 600_000 } = {}) {
  const node = new EventEmitter();
  const log: [string, object, string][] = [];
  let ms = 0;
  const contact = followControl({
    node,
    server: 'https://control.example',
    loginsMs,
    sessionsMs,
    log: {
      info: (fields: object, text: string) => void log.push(['info', fields, text]),
      warn: (fields: object, text: string) => void log.push(['warn', fields, text]),
    },
    // A clock that only goes forward has another origin than the epoch.
    now: () => ms + 77,
    date: () => epoch + ms,
  });
  t.teardown(() => contact.stop());
  return {
    contact,
    log,
    at: (seconds: number): void => {
      ms = seconds * 1000;
    },
    says: (state: Partial<NodeState>): void => {
      node.emit('state', { ...FIRST_STATE, status: 'Running', ready: true, ...state });
    },
  };
}

const secondsIn = (seconds: number): string => new Date(epoch + seconds * 1000).toISOString().replace('.000', '');

test('with contact, nothing is past a limit and nothing is logged', (t) => {
  const { contact, log, says, at } = setup(t);
  says({});
  at(10_000);
  t.deepEqual([contact.awayMs(), contact.isPastLogins(), contact.describe()], [0, false, undefined]);
  t.deepEqual(log, []);
});

test('the time without contact counts from the last contact, not from its report', (t) => {
  const { contact, log, says, at } = setup(t);
  at(50);
  says({ controlAway: secondsIn(40) });
  t.is(contact.awayMs(), 10_000);
  t.false(contact.isPastLogins());
  t.is(contact.describe(), 'no contact with the control server https://control.example for 10 s');
  at(99);
  t.false(contact.isPastLogins());
  at(100);
  t.true(contact.isPastLogins());
  t.like(log[0], [
    'warn',
    { since: secondsIn(40), loginsUntilSeconds: 50, sessionsUntilSeconds: 590 },
    'no contact with the control server: grants cannot be confirmed',
  ]);
});

test('contact that returns resets the time, with a line that says for how long it was lost', (t) => {
  const { contact, log, says, at } = setup(t);
  says({ controlAway: secondsIn(0) });
  at(30);
  says({});
  t.is(contact.awayMs(), 0);
  t.like(log.at(-1), ['info', { awaySeconds: 30 }, 'contact with the control server again']);
  at(50);
  says({ controlAway: secondsIn(45) });
  t.is(contact.awayMs(), 5000);
});

test('an engine that restarts without contact does not start the time again', (t) => {
  const { contact, log, says, at } = setup(t);
  says({ controlAway: secondsIn(0) });
  at(40);
  says({ status: 'Restarting', ready: false });
  at(50);
  says({ controlAway: secondsIn(45) });
  t.is(contact.awayMs(), 50_000);
  t.is(log.length, 1);
});

test('logins are refused no later than sessions end', (t) => {
  const { contact, says, at } = setup(t, { loginsMs: 900_000, sessionsMs: 20_000 });
  says({ controlAway: secondsIn(0) });
  at(20);
  t.true(contact.isPastLogins());
});

test('an engine whose clock is ahead does not make time negative', (t) => {
  const { contact, says } = setup(t);
  says({ controlAway: secondsIn(500) });
  t.is(contact.awayMs(), 0);
});
