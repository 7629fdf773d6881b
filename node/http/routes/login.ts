/**
 * POST login: chooses a rule, stores the session, answers 202 at once. With `Prefer: wait=N` (RFC 7240; at most 60 s) it answers 200
 * as soon as the credential works, or 202 when the time is up.
 */
import { loginRequestSchema } from '../contract.ts';
import type { LoginRequest } from '../contract.ts';
import { readBody } from '../body.ts';
import type { HttpDeps, SessionView } from '../deps.ts';
import { ApiError } from '../errors.ts';
import type { Choice } from '../grants.ts';
import { chooseGrant, describeRule } from '../grants.ts';
import { parseDurationMs } from '../rules.ts';
import { loginAnswer } from '../login-answer.ts';
import type { ApiContext, ApiMiddleware, Caller } from '../state.ts';
import { callerOf } from '../state.ts';

type Chosen = Extract<Choice, { kind: 'chosen' }>;

const maxWaitSeconds = 60;

export function loginRoute(deps: HttpDeps): ApiMiddleware {
  return async (ctx) => {
    ctx.state.audit.event = 'login';
    try {
      await login(ctx, deps);
      deps.metrics.login('accepted', 'ok');
    } catch (error) {
      const isRefusal = error instanceof ApiError && error.status < 500;
      deps.metrics.login(isRefusal ? 'refused' : 'failed', error instanceof ApiError ? error.code : 'internal');
      throw error;
    }
  };
}

async function login(ctx: ApiContext, deps: HttpDeps): Promise<void> {
  const caller = callerOf(ctx);
  const { audit, signal } = ctx.state;
  // Before the limit is counted: callers who may not log in must not use up others' logins.
  const { capability } = deps.settings;
  if (caller.grants.rules.length === 0) throw noGrant(caller, capability);
  const hold = deps.loginHold();
  if (hold !== undefined) {
    throw new ApiError(503, hold.code, hold.message, { advice: [hold.advice], retryAfterSeconds: 30 });
  }
  const waitSeconds = deps.limiter.take(caller.subject);
  if (waitSeconds !== undefined) {
    throw new ApiError(429, 'rate_limited', 'too many logins', {
      advice: [`retry in ${waitSeconds} s`],
      retryAfterSeconds: waitSeconds,
    });
  }
  const wish = await readBody(ctx.req, loginRequestSchema);
  const { rule, periodMs } = await deps.trace.step(
    'grant',
    () => granted(caller, wish, capability),
    (chosen) => ({ 'tka.role': chosen.rule.role, 'tka.period_seconds': chosen.periodMs / 1000 }),
  );
  audit.rule = rule;

  const startedAt = deps.now().getTime();
  const { subject, username, identity } = caller;
  const stored = await deps.sessions.signIn({ subject, username, node: identity.nodeId, rule, periodMs }, signal);
  audit.session = stored.name;
  deps.metrics.loginStage('stored', (deps.now().getTime() - startedAt) / 1000);

  const wait = preferredWait(ctx.get('Prefer'));
  const usable = wait === 0 ? undefined : await usableWithin(stored, wait, signal, deps);
  if (wait > 0) ctx.set('Preference-Applied', `wait=${wait}`);
  if (usable === undefined) {
    ctx.status = 202;
    ctx.set('Retry-After', String(deps.settings.retryAfterSeconds));
    ctx.body = loginAnswer(stored, caller);
    return;
  }
  deps.metrics.loginStage('usable', (deps.now().getTime() - startedAt) / 1000);
  ctx.body = loginAnswer(usable, caller);
}

/** Undefined when the time is up. */
export async function usableWithin(
  session: SessionView,
  seconds: number,
  gone: AbortSignal,
  deps: HttpDeps,
): Promise<SessionView | undefined> {
  const time = AbortSignal.timeout(seconds * 1000);
  try {
    return await deps.sessions.usable(session.name, AbortSignal.any([gone, time]));
  } catch (error) {
    if (time.aborted && !gone.aborted) return undefined;
    throw error;
  }
}

/** Seconds of the first `wait` preference, at most 60; 0 where there is no valid one. */
export function preferredWait(header: string): number {
  const wait = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=[;,]|$)/i.exec(header)?.[1];
  return wait === undefined ? 0 : Math.min(Number(wait), maxWaitSeconds);
}

function granted(caller: Caller, wish: LoginRequest, capability: string): Chosen {
  const periodMs = wish.period === undefined ? undefined : parseDurationMs(wish.period);
  if (wish.period !== undefined && periodMs === undefined)
    throw refusal({ kind: 'period-too-short' }, caller, capability);
  const choice = chooseGrant(caller.grants.rules, { role: wish.role, periodMs });
  if (choice.kind !== 'chosen') throw refusal(choice, caller, capability);
  return choice;
}

function refusal(choice: Exclude<Choice, Chosen>, caller: Caller, capability: string): ApiError {
  switch (choice.kind) {
    case 'none':
      return noGrant(caller, capability);
    case 'role-not-granted':
      return new ApiError(403, 'role_not_granted', 'the tailnet policy does not grant you that role', {
        advice: [`it grants you: ${choice.granted.join(', ')}`, ...reasonsOf(caller)],
      });
    case 'ambiguous':
      return new ApiError(
        400,
        'ambiguous_grant',
        'several rules with the same priority grant you different roles or scopes',
        {
          advice: [
            ...choice.rules.slice(0, 5).map((rule) => `it could be ${describeRule(rule)}`),
            'ask for a role that only one rule grants, or ask your tailnet admin to give the rules different priorities',
          ],
        },
      );
    case 'period-too-long':
      return new ApiError(422, 'unprocessable', `${choice.rule.role} is granted for ${choice.rule.period} at most`, {
        advice: [`ask for ${choice.rule.period} or less`],
      });
    case 'period-too-short':
      break;
  }
  return new ApiError(422, 'unprocessable', 'a session cannot be shorter than 10 minutes', {
    advice: ['ask for 10m or more'],
  });
}

/** Released servers answer 422 to a rule with too short a period, so a grant with only that problem does too. */
function noGrant(caller: Caller, capability: string): ApiError {
  const { dropped } = caller.grants;
  const reasons = reasonsOf(caller);
  if (dropped.length > 0 && dropped.every(({ isTooShort }) => isTooShort)) {
    return new ApiError(422, 'unprocessable', 'the rule that grants you access has a period under 10 minutes', {
      advice: reasons,
    });
  }
  return new ApiError(403, 'no_grant', 'the tailnet policy grants you no role on this server', {
    advice: [...reasons, `ask your tailnet admin to grant you the capability ${capability}`],
  });
}

function reasonsOf({ grants: { dropped } }: Caller): string[] {
  return dropped.slice(0, 5).map(({ rule, reason }) => `a rule was dropped: ${reason}: ${rule}`);
}
