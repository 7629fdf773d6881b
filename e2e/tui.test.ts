/**
 * The screens as a person has them: in a real terminal, against a real tailnet and a real Kubernetes API. One stack for the
 * whole file; each case begins with no session, and with machines that never used tka.
 */
import test from 'ava';
import { hasTerminals } from './terminal.ts';
import { homeCases } from './tui/home.ts';
import { loginCases } from './tui/login.ts';
import { Place } from './tui/place.ts';

let place: Place;

if (hasTerminals()) {
  test.before(async (t) => {
    t.timeout(180_000);
    place = await Place.start();
  });
  test.afterEach.always(() => place.clear());
  test.after.always(() => place?.[Symbol.asyncDispose]());
  loginCases(() => place);
  homeCases(() => place);
} else {
  test.skip('the screens: no tmux', (t) => t.pass());
}
