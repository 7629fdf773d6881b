/**
 * Why no session is opened or extended now although the server runs: shown to callers and on /readyz. A damaged installation comes
 * first: its remedy is the administrator's, and waiting does not help.
 */
import type { ControlContact } from '../tailnet/control-contact.ts';
import type { LoginHold } from '../http/deps.ts';
import type { InstallationWatch } from '../kubernetes/installation-watch.ts';
import type { Persistence } from '../persistence/index.ts';
import type { NodeState } from '../tsnet/node.ts';

/** What the server has started so far, and its problems. */
export interface Started {
  contact?: ControlContact;
  installation?: Pick<InstallationWatch, 'problems'>;
  persistence?: Pick<Persistence, 'problems'>;
  node?: { readonly state: Pick<NodeState, 'unsaved'> };
}

export function problemsOf({ installation, persistence, node }: Started): readonly string[] {
  const persisted = persistence?.problems() ?? [];
  const unsaved = node?.state.unsaved;
  // A state Secret has reported it already, with its name.
  const isTold = persisted.some((problem) => problem.includes('the tailnet state is not saved'));
  return [
    ...(installation?.problems() ?? []),
    ...persisted,
    ...(unsaved === undefined || isTold ? [] : [`the tailnet state is not saved: ${unsaved}`]),
  ];
}

export function notesOf({ contact }: Started): readonly string[] {
  return [contact?.describe()].filter((note) => note !== undefined);
}

export interface LoginHoldSources {
  /** Undefined before the node was created. */
  readonly contact: Pick<ControlContact, 'isPastLogins' | 'describe'> | undefined;
  /** What is wrong with the installation, each with its remedy. */
  readonly problems: readonly string[];
}

export function loginHoldOf({ contact, problems }: LoginHoldSources): LoginHold | undefined {
  if (problems.length > 0) {
    return {
      code: 'installation_damaged',
      message: `new logins are refused: ${problems.join('; ')}`,
      advice: 'open sessions stay active; tell the admin of this server',
    };
  }
  if (contact?.isPastLogins() !== true) return undefined;
  return {
    code: 'control_unreachable',
    message: `${contact.describe() ?? 'no contact with the control server'}: grants cannot be confirmed, new logins are refused`,
    advice: 'open sessions stay active for now; retry later, or tell the admin of this server',
  };
}
