/**
 * The session's variables in a shell: KUBECONFIG for kubectl, the rest for prompts and for `tka` itself.
 *
 * Names come from a server, so each is validated; an invalid one is left out.
 */
import { existsSync } from 'node:fs';
import { isClusterName } from '../config/flag-values.ts';
import { untilPath } from '../credential/cache.ts';
import type { LoggedIn } from '../sessions/login.ts';
import type { Runtime } from '../runtime.ts';
import { isSessionName } from '../api/token.ts';

/** Every variable that `sessionVariables` may set. */
export const variableNames = [
  'KUBECONFIG',
  'TKA_SESSION',
  'TKA_SERVER',
  'TKA_CLUSTER',
  'TKA_ROLE',
  'TKA_CONTEXT',
  'TKA_UNTIL',
  'TKA_UNTIL_FILE',
] as const;
export type VariableName = (typeof variableNames)[number];
export type SessionVariables = Readonly<Partial<Record<VariableName, string>>>;

/** `kubeconfig`: the file that kubectl is to use. */
export function sessionVariables(env: Runtime['env'], login: LoggedIn, kubeconfig: string): SessionVariables {
  const { server, session, cluster, role, context, until } = login;
  if (!isSessionName(session)) throw new Error('not the name of a session');
  const untilFile = untilPath(env, { server, session });
  return {
    KUBECONFIG: kubeconfig,
    TKA_SESSION: session,
    TKA_SERVER: server,
    ...(isClusterName(cluster) ? { TKA_CLUSTER: cluster } : {}),
    ...(isRoleName(role) ? { TKA_ROLE: role } : {}),
    ...(isContextName(context) ? { TKA_CONTEXT: context } : {}),
    TKA_UNTIL: until.toISOString(),
    // Without it (the cache cannot be written) a prompt shows no time, instead of an end that never was.
    ...(existsSync(untilFile) ? { TKA_UNTIL_FILE: untilFile } : {}),
  };
}

/** Roles have colons besides (`system:basic-user`), and letters of both cases. */
export function isRoleName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9:._-]{0,252}$/.test(text);
}

/** The user may have made it from a template, so it is not only what servers may say. */
function isContextName(text: string): boolean {
  return /^[^\p{C}\p{Zl}\p{Zp}]{1,253}$/u.test(text);
}
