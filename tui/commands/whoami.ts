/** `tka whoami`: who the caller is to a server. What that grants is another question: `tka roles`. */
import { lookMs, reach } from '../connection/connect.ts';
import { writeData } from '../terminal/structured-output.ts';
import type { WhoamiFlags } from '../flags.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { createWords, renderTable, type Words } from '../terminal/output.ts';
import { skewOf } from '../api/clock-skew.ts';
import { printableWhoami } from '../sessions/identity.ts';
import { ownContextsHere } from '../connection/last-server.ts';
import type { Runtime } from '../runtime.ts';
import type { SessionData } from '../sessions/session-data.ts';
import { listSessions } from '../sessions/session-list.ts';

export async function whoami(runtime: Runtime, flags: WhoamiFlags): Promise<void> {
  const words = createWords(runtime, flags.quiet === true);
  const { server, answer, sessions } = await askWhoami(runtime, flags, words, {
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

/** Made printable. */
export async function askWhoami(runtime: Runtime, flags: WhoamiFlags, words: Words, { withSessions = false } = {}) {
  const { signal } = runtime;
  const interaction = plainInteraction(runtime, flags);
  const warn = (line: string): void => words.warn(line);
  const onWait = (line: string): void => words.say(line);
  const reached = await reach(runtime, flags, { purpose: 'look', interaction, warn, onWait, signal });
  try {
    const { server, api } = reached;
    const call = { signal, timeoutMs: flags.timeoutMs ?? lookMs };
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
  } finally {
    reached.close();
  }
}
