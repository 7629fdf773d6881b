/** GET whoami: who the caller is to this server, which rules hold for it, and why others do not. */
import type { WhoamiResponse } from '../contract.ts';
import { droppedRules } from '../login-answer.ts';
import type { ApiMiddleware } from '../state.ts';
import { callerOf } from '../state.ts';
import { printable } from '../subject.ts';

export function whoamiRoute(): ApiMiddleware {
  return (ctx) => {
    const { subject, username, identity, grants } = callerOf(ctx);
    const answer: WhoamiResponse = {
      subject,
      username,
      node: printable(identity.nodeName, 253),
      tags: [...identity.tags],
      rules: grants.rules.map(({ role, period, priority, namespaces }) => ({
        role,
        period,
        priority,
        ...(namespaces === undefined ? {} : { namespaces: [...namespaces] }),
      })),
      dropped: droppedRules(callerOf(ctx)),
    };
    ctx.body = answer;
  };
}
