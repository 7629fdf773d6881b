/** What a server says of its caller, fit to be shown, and no longer than anybody reads. */
import type { WhoamiResponse } from '../../node/http/contract.ts';
import { printable } from '../terminal/output.ts';

export function printableWhoami({ subject, username, node, tags, rules, dropped }: WhoamiResponse): WhoamiResponse {
  return {
    subject: printable(subject, 300),
    username: printable(username, 200),
    node: printable(node, 253),
    tags: tags.slice(0, 100).map((tag) => printable(tag, 100)),
    rules: rules.slice(0, 200).map(({ role, period, priority, namespaces }) => ({
      role: printable(role, 253),
      period: printable(period, 32),
      priority,
      ...(namespaces === undefined ? {} : { namespaces: namespaces.slice(0, 1000).map((name) => printable(name, 63)) }),
    })),
    dropped: dropped.slice(0, 200).map(({ rule, reason }) => ({ rule: printable(rule), reason: printable(reason) })),
  };
}
