/** A login whose kubeconfig goes to stdout with the token in it: nothing on this machine changes but the known servers. */
import { standaloneKubeconfig } from '../kubeconfig/standalone.ts';
import { renderData } from '../terminal/structured-output.ts';
import { usageError } from '../errors.ts';
import type { LoginFlags } from '../flags.ts';
import { plainInteraction } from '../terminal/interaction.ts';
import { type LogInOptions, withOpenSession } from './login.ts';
import { formatRemaining, type Words } from '../terminal/output.ts';
import { checkTls, contextNameFrom, defaultContextName } from './context.ts';
import type { Runtime } from '../runtime.ts';

export async function printKubeconfig(runtime: Runtime, flags: LoginFlags, words: Words): Promise<void> {
  const form = flags.output ?? 'yaml';
  if (form === 'name') throw usageError('-o name is not supported for a kubeconfig', ['Use -o yaml or -o json.']);
  const interaction = plainInteraction(runtime, flags);
  const options: LogInOptions = { flags, interaction, warn: words.warn };
  await withOpenSession(runtime, options, async ({ opened, reached, contextName }) => {
    const { access, username, role, until, skewMs } = opened;
    checkTls(access, flags, reached.server);
    const namespace = flags.namespace ?? access.namespace;
    const named = { ...opened, ...(namespace === undefined ? {} : { namespace }) };
    const name = contextNameFrom(flags.contextName ?? contextName ?? defaultContextName, named);
    runtime.stdout.write(
      await renderData(
        form,
        standaloneKubeconfig(access, { name, ...(namespace === undefined ? {} : { namespace }) }),
        name,
      ),
    );
    const left = formatRemaining(until.getTime() - skewMs - runtime.now().getTime());
    words.say(`Logged in as ${username}, role ${role}, for ${left}. Anyone with this kubeconfig has this access.`);
  });
}
