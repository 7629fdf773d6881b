/** Why a server refused a login, with what to do next: its own advice, and what only the command knows. */
import type { LoginRequest } from '../../node/http/contract.ts';
import { printableWhoami } from './identity.ts';
import type { Api } from '../api/api.ts';
import { exitCodes, RefusedError } from '../errors.ts';
import { describeGrant } from './grant.ts';
import { chooseRule, parseDurationMs, rolesOf } from '../../node/http/rules.ts';

export interface RefusalContext {
  readonly api: Api;
  readonly request: LoginRequest;
  readonly signal: AbortSignal;
}

/** Another error comes back as it is. */
export async function explainRefusal(error: unknown, context: RefusalContext): Promise<unknown> {
  if (!(error instanceof RefusedError)) return error;
  const advice = await remedies(error, context);
  const { status, code, message } = error;
  const isDenied = code === 'unprocessable' && (await isPeriodTooLong(context));
  if (advice.length === 0 && !isDenied) return error;
  const exitCode = isDenied ? exitCodes.denied : error.exitCode;
  return new RefusedError(status, code, message, [...error.advice, ...advice], exitCode);
}

async function remedies({ code, advice }: RefusedError, context: RefusalContext): Promise<readonly string[]> {
  // What the server's advice says already needs no second call.
  const rules = async () => (advice.length > 0 ? [] : readRules(context));
  switch (code) {
    case 'no_grant':
      return ['`tka whoami` shows who you are there; `tka roles` which rules were dropped, and why.'];
    case 'role_not_granted': {
      const granted = rolesOf(await rules());
      return [
        ...(granted.length === 0 ? [] : [`granted roles: ${granted.join(', ')}`]),
        'Choose one with --role. `tka roles` lists them.',
      ];
    }
    case 'ambiguous_grant':
      return [...(await rules()).slice(0, 5).map((rule) => `candidate: ${describeGrant(rule)}`), 'Choose with --role.'];
    case 'unprocessable': {
      // It may be about a namespace as well; a server that gives advice knows which.
      if (context.request.period === undefined || advice.length > 0) return [];
      const longest = (await rules()).filter(({ role }) => (context.request.role ?? role) === role);
      return [
        ...longest.slice(0, 5).map((rule) => `the policy grants ${describeGrant(rule)}`),
        'Without --period you get the maximum.',
      ];
    }
    case undefined:
    default:
      return [];
  }
}

/** A longer period than the policy grants is denied by it, as a role would be; the server's status does not tell it from a mistake. */
async function isPeriodTooLong(context: RefusalContext): Promise<boolean> {
  const { period } = context.request;
  if (period === undefined) return false;
  const forecast = chooseRule(await readRules(context), context.request);
  if (forecast.kind !== 'chosen') return false;
  return (parseDurationMs(period) ?? 0) > (parseDurationMs(forecast.rule.period) ?? Infinity);
}

/** None where the server does not say in a moment: the refusal counts, not its ornaments. */
async function readRules({ api, signal }: RefusalContext) {
  try {
    return printableWhoami(await api.whoami({ signal, timeoutMs: 2000 })).rules;
  } catch {
    signal.throwIfAborted();
    return [];
  }
}
