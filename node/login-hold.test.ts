import test from 'ava';
import { loginHoldOf } from './login-hold.ts';

test('logins are served with contact, and without it until their limit', (t) => {
  t.is(loginHoldOf({ contact: undefined, problems: [] }), undefined);
  t.is(loginHoldOf({ contact: { isPastLogins: () => false, describe: () => 'no contact' }, problems: [] }), undefined);
});

test('past the limit the caller is told what is wrong, and what stays', (t) => {
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
