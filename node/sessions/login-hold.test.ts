import test from 'ava';
import { loginHoldOf, notesOf, problemsOf } from './login-hold.ts';

test('logins are served with contact, and without it until their limit', (t) => {
  t.is(loginHoldOf({ contact: undefined, problems: [] }), undefined);
  t.is(loginHoldOf({ contact: { isPastLogins: () => false, describe: () => 'no contact' }, problems: [] }), undefined);
});

test('past the limit the caller is told the reason, and that open sessions stay', (t) => {
  const contact = {
    isPastLogins: () => true,
    describe: () => 'no contact with the control server https://c for 901 s',
  };
  t.deepEqual(loginHoldOf({ contact, problems: [] }), {
    code: 'control_unreachable',
    message:
      'no contact with the control server https://c for 901 s: grants cannot be confirmed, new logins are refused',
    advice: 'open sessions stay active for now; retry later, or tell the admin of this server',
  });
});

test('a damaged installation holds logins, first of all, and each problem is named', (t) => {
  const contact = { isPastLogins: () => true, describe: () => 'no contact' };
  const problems = ['the admission policy tka-signins is not installed: install it again', 'tka may not create events'];
  t.deepEqual(loginHoldOf({ contact, problems }), {
    code: 'installation_damaged',
    message:
      'new logins are refused: the admission policy tka-signins is not installed: install it again; tka may not create events',
    advice: 'open sessions stay active; tell the admin of this server',
  });
});

test('one problem of the installation holds logins', (t) => {
  const hold = loginHoldOf({ contact: undefined, problems: ['tka may not create events'] });
  t.is(hold?.message, 'new logins are refused: tka may not create events');
});

const listing = (...problems: readonly string[]) => ({ problems: () => problems });
const unsaved = { state: { unsaved: 'disk full' } };

test('a server that has started nothing yet, or only healthy parts, has no problems and no notes', (t) => {
  t.deepEqual([problemsOf({}), notesOf({})], [[], []]);
  t.deepEqual(problemsOf({ installation: listing(), persistence: listing(), node: { state: {} } }), []);
});

test('problems of the installation, of the persisted state and of the node are all listed', (t) => {
  t.deepEqual(problemsOf({ installation: listing('policy'), persistence: listing('key', 'other'), node: unsaved }), [
    'policy',
    'key',
    'other',
    'the tailnet state is not saved: disk full',
  ]);
  t.deepEqual(problemsOf({ node: unsaved }), ['the tailnet state is not saved: disk full']);
});

test('an unsaved tailnet state is reported once, by the Secret with its name', (t) => {
  const told = 'Secret tka-0-state: the tailnet state is not saved (403)';
  t.deepEqual(problemsOf({ persistence: listing('key', told), node: unsaved }), ['key', told]);
});

test('an unreachable control server is a note; with contact there is no note', (t) => {
  const contact = { awayMs: () => 0, isPastLogins: () => false, stop: () => {} };
  t.deepEqual(notesOf({ contact: { ...contact, describe: () => 'no contact' } }), ['no contact']);
  t.deepEqual(notesOf({ contact: { ...contact, describe: () => undefined } }), []);
});
