/**
 * Makes a context that tka wrote the current one of kubectl. It is named by its own name, its session's, its cluster's or its
 * server's; a name that several answer to must be made clearer.
 */
import { readUntil } from '../credential/cache.ts';
import { exitCodes, usageError, UserError } from '../errors.ts';
import { editKubeconfig, kubeconfigPaths } from '../kubeconfig/file.ts';
import { type OwnContext, ownContexts, setCurrentContext } from '../kubeconfig/entries.ts';
import { readKnownServers } from '../trust/known-servers.ts';
import { printable } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';

export interface UseOptions {
  readonly name: string;
  /** The origin; absent: any. */
  readonly server?: string;
  readonly kubeconfig?: string | undefined;
  readonly signal: AbortSignal;
}

/** Resolves to the context. */
export function useContext(runtime: Runtime, options: UseOptions): Promise<OwnContext> {
  const paths = kubeconfigPaths(runtime.env, options.kubeconfig);
  return editKubeconfig(
    paths,
    ({ files, destination }) => {
      const context = pick(runtime, ownContexts(files), options);
      setCurrentContext(files, destination, context.context);
      return { ...context, current: true };
    },
    { signal: options.signal },
  );
}

/** What `tka use` takes, for the completion as well. */
export function namesOf(env: Runtime['env'], { context, session, server }: OwnContext): readonly string[] {
  const known = readKnownServers(env).find((one) => one.server === server)?.cluster;
  const cluster = known ?? readUntil(env, { server, session })?.cluster;
  return [context, session, ...(cluster === undefined ? [] : [cluster]), server, new URL(server).hostname];
}

function pick({ env }: Runtime, contexts: readonly OwnContext[], { name, server }: UseOptions): OwnContext {
  const own = contexts.filter((context) => server === undefined || context.server === server);
  const exact = own.find(({ context }) => context === name) ?? own.find(({ session }) => session === name);
  if (exact !== undefined) return exact;
  const named = own.filter((context) => namesOf(env, context).includes(name));
  const [only, ...others] = named;
  const shown = JSON.stringify(printable(name, 63));
  if (only === undefined) {
    const advice =
      own.length === 0 ? ['Log in first: tka login'] : [`Available: ${own.map(({ context }) => context).join(', ')}`];
    throw new UserError(`no tka context for ${shown}`, advice, exitCodes.usage);
  }
  if (others.length === 0) return only;
  throw usageError(`several contexts match ${shown}`, [
    `Choose one: ${named.map(({ context }) => context).join(', ')}`,
  ]);
}
