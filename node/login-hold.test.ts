import test from 'ava';
import { loginHoldOf } from './login-hold.ts';

test('logins are served with contact, and without it until their limit', (t) => {
  t.is(loginHoldOf({ contact: undefined }), undefined);
  t.is(loginHoldOf({ contact: { isPastLogins: () => false, describe: () => 'no contact' } }), undefined);
});

test('past the limit the caller is told what is wrong, and what stays', (t) => {
  const contact = {
    isPastLogins: () => true,
    describe: () => 'no contact with the control server https://c for 901 s',
  };
  t.deepEqual(loginHoldOf({ contact }), {
    code: 'control_unreachable',
    message:
      'no contact with the control server https://c for 901 s: grants cannot be confirmed, new logins are refused',
    advice: 'open sessions stay active for now; retry later, or tell the admin of this server',
  });
});
