import test from 'ava';
import { liveSessionData } from './session-data.ts';

const live = {
  server: 'http://tka',
  session: 'alice-view',
  username: 'alice',
  role: 'view',
  until: new Date('2026-01-01T01:00:00Z'),
};
const here = { contexts: ['tka-prod-view'], current: true, now: new Date('2026-01-01T00:00:00.400Z') };

test('the seconds that are left are whole, counted by the clock of the server and never negative', (t) => {
  t.is(liveSessionData(live, here).remainingSeconds, 3599);
  t.is(liveSessionData({ ...live, skewMs: 600_000 }, here).remainingSeconds, 2999);
  t.is(liveSessionData({ ...live, skewMs: -600_000 }, here).remainingSeconds, 4199);
  t.is(liveSessionData(live, { ...here, now: new Date('2026-01-02T00:00:00Z') }).remainingSeconds, 0);
});

test('a session of the whole cluster has no namespaces', (t) => {
  t.false('namespaces' in liveSessionData(live, here));
  t.deepEqual(liveSessionData({ ...live, namespaces: ['dev'] }, here).namespaces, ['dev']);
});
