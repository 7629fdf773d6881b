/**
 * What a login says, in words: the same on a screen and as plain lines.
 */
import { UserError } from '../../errors.ts';
import { describeScope } from '../../sessions/grant.ts';
import type { LoggedIn, LoginStage } from '../../sessions/login.ts';
import { formatRemaining, printable } from '../../terminal/output.ts';
import type { StageProgress } from './run.ts';

export const stageTitles: Readonly<Record<LoginStage, string>> = {
  server: 'Find the server',
  identity: 'Identify',
  grant: 'Check grants',
  'sign-in': 'Log in',
  provisioning: 'Provision access',
  usable: 'Verify access',
  kubeconfig: 'Write kubeconfig',
};

export const stateWords: Readonly<Record<StageProgress['state'], string>> = {
  waiting: 'waiting',
  running: 'running',
  done: 'done',
  failed: 'failed',
  stopped: 'stopped',
};

/** Stages that were passed over are left out, and those that will not come. */
export function visibleStages(stages: readonly StageProgress[], isOver: boolean): readonly StageProgress[] {
  const last = stages.findLastIndex(({ state }) => state !== 'waiting');
  return stages.filter(({ state }, i) => state !== 'waiting' || (i > last && !isOver));
}

/** `340 ms`, `1.2 s`, `1m05s`. */
export function formatTook(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1000) return `${whole} ms`;
  if (whole < 59_950) return `${(whole / 1000).toFixed(1)} s`;
  const seconds = Math.round(whole / 1000);
  return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
}

/** `17:42`, and with the day before it where that is not today; in the machine's time zone. */
export function formatUntil(until: Date, now: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = (date: Date): string => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(until.getHours())}:${two(until.getMinutes())}`;
  return day(until) === day(now) ? time : `${day(until)} ${time}`;
}

/** The summary of a login, as label and value. */
export function summaryOf(session: LoggedIn, now: Date): readonly (readonly [string, string])[] {
  const { username, role, namespaces, cluster, url, mode, context, current, kubeconfig } = session;
  // By this machine's clock, which is the one that people look at.
  const until = new Date(session.until.getTime() - (session.skewMs ?? 0));
  const remaining = formatRemaining(until.getTime() - now.getTime());
  return [
    ['who', username],
    ['role', `${role} ${describeScope(namespaces)}`],
    ['cluster', `${cluster} (${mode}, ${url})`],
    ['context', `${context} in ${kubeconfig}`],
    ['until', `${formatUntil(until, now)}, for ${remaining}`],
    ['next', current ? 'kubectl get pods' : `kubectl --context ${context} get pods`],
  ];
}

/** Undefined for a bug, which is reported elsewhere. */
export function reasonOf(error: unknown): { readonly message: string; readonly advice: readonly string[] } | undefined {
  if (!(error instanceof UserError)) return undefined;
  return { message: printable(error.message), advice: error.advice.map((line) => printable(line)) };
}
