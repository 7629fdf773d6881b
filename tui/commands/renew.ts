/** `tka renew`: moves the end of a session, here and at the server. */
import { writeData } from '../terminal/structured-output.ts';
import type { RenewFlags } from '../flags.ts';
import { describeScope } from '../sessions/grant.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { createWords, formatRemaining } from '../terminal/output.ts';
import { renewSession } from '../sessions/renew.ts';
import type { Runtime } from '../runtime.ts';
import { liveSessionData } from '../sessions/session-data.ts';

export async function renew(runtime: Runtime, flags: RenewFlags): Promise<void> {
  const words = createWords(runtime, flags.quiet === true);
  const interaction = plainInteraction(runtime, flags);
  const renewed = await renewSession(runtime, { flags, interaction, warn: words.warn });
  const { server, session, role, namespaces, until, skewMs } = renewed;
  if (runtime.env['TKA_ENV_FILE']) {
    const { writeEnvironment } = await import('../shell/integration/environment.ts');
    writeEnvironment(runtime, { renew: { server, session, until } });
  }
  const left = formatRemaining(until.getTime() - skewMs - runtime.now().getTime());
  const scope = namespaces === undefined ? '' : ` ${describeScope(namespaces)}`;
  words.say(`Renewed ${session}, role ${role}${scope}: ${left} from now.`);
  if (flags.output === undefined) return;
  const { cluster, contexts, current } = renewed;
  const data = liveSessionData(renewed, { contexts, current, now: runtime.now() });
  await writeData(runtime, flags.output, { ...data, cluster }, session);
}
