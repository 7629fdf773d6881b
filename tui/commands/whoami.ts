/** `tka whoami`: who the caller is to a server. What that grants is another question: `tka roles`. */
import { lookAt } from '../connection/look.ts';
import { writeData } from '../terminal/structured-output.ts';
import type { WhoamiFlags } from '../flags.ts';
import { createWords, renderTable } from '../terminal/output.ts';
import { skewOf } from '../api/clock-skew.ts';
import { printableWhoami } from '../sessions/identity.ts';
import { ownContextsHere } from '../connection/last-server.ts';
import type { Runtime } from '../runtime.ts';
import type { SessionData } from '../sessions/session-data.ts';
import { listSessions } from '../sessions/session-list.ts';

export async function whoami(runtime: Runtime, flags: WhoamiFlags): Promise<void> {
  const words = createWords(runtime, flags.quiet === true);
  const { server, answer, sessions } = await askWhoami(runtime, flags, {
    withSessions: flags.output === 'json' || flags.output === 'yaml',
  });
  const { username, node, tags, subject, rules, dropped } = answer;
  if (flags.output !== undefined) return writeData(runtime, flags.output, { server, ...answer, sessions }, username);
  const rows = [
    ['USER', username],
    ['NODE', node],
    ['TAGS', tags.length === 0 ? '-' : tags.join(',')],
    ['SUBJECT', subject],
    ['SERVER', server],
  ];
  runtime.stdout.write(renderTable(rows));
  const left = dropped.length === 0 ? '' : `, and ${dropped.length} that it cannot use`;
  const count = rules.length === 1 ? '1 rule' : `${rules.length} rules`;
  const granted = rules.length === 0 ? 'grants you nothing' : `has ${count} for you`;
  words.say(`The policy ${granted} there${left}: tka roles`);
}

/** Printable. */
export function askWhoami(runtime: Runtime, flags: WhoamiFlags, { withSessions = false } = {}) {
  return lookAt(runtime, flags, async ({ server, api }, call) => {
    const [answer, sessions] = await Promise.all([
      api.whoami(call),
      withSessions ? api.sessions(call).then((listed) => listed.sessions) : [],
    ]);
    const contexts = withSessions ? ownContextsHere(runtime.env) : [];
    const rows = listSessions(runtime, { server, sessions, contexts, skewMs: skewOf(api, runtime.now) });
    return {
      server,
      answer: printableWhoami(answer),
      sessions: rows.filter(({ state }) => state !== 'ended').map((row): SessionData => ({ server, ...row })),
    };
  });
}
