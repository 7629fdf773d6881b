/**
 * Why no session is opened or extended now, though the server runs: what is told to callers and on /readyz.
 */
import type { ControlContact } from './control-contact.ts';
import type { LoginHold } from './http/deps.ts';

export interface LoginHoldSources {
  /** Undefined before the node was made. */
  readonly contact: Pick<ControlContact, 'isPastLogins' | 'describe'> | undefined;
}

export function loginHoldOf({ contact }: LoginHoldSources): LoginHold | undefined {
  if (contact?.isPastLogins() !== true) return undefined;
  return {
    code: 'control_unreachable',
    message: `${contact.describe() ?? 'no contact with the control server'}: grants cannot be confirmed, new logins are refused`,
    advice: 'open sessions stay active for now; retry later, or tell the admin of this server',
  };
}
