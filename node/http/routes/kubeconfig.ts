/**
 * GET kubeconfig: 200 in the form that the Accept header asks for, 202 while the session is being provisioned.
 *
 * Without an Accept header the answer is the map form; a wildcard gets YAML. The names in it are those released clients know,
 * prefix and user; a call that names its session gets the session's name in them, so that two roles can lie in one file.
 */
import { modes, modeSchema } from '../contract.ts';
import type { ClusterInfo, Mode } from '../contract.ts';
import type { HttpDeps, SessionView } from '../deps.ts';
import { ApiError } from '../errors.ts';
import type { KubeconfigForm } from '../kubeconfig.ts';
import { kubeconfigName, renderKubeconfig } from '../kubeconfig.ts';
import { loginAnswer } from '../login-answer.ts';
import { ownSession, refuseBrokenSession, sessionInQuery } from '../own-session.ts';
import type { ApiContext, ApiMiddleware } from '../state.ts';
import { callerOf } from '../state.ts';

export function kubeconfigRoute(deps: HttpDeps): ApiMiddleware {
  return async (ctx) => {
    const form = acceptedForm(ctx);
    const { mode, cluster } = wishedCluster(ctx, deps);
    const name = sessionInQuery(ctx.query);
    const caller = callerOf(ctx);
    const session = ownSession(deps.sessions, caller, name);
    refuseBrokenSession(session);
    if (!(await isUsable(session, ctx.state.signal, deps))) {
      ctx.status = 202;
      ctx.set('Retry-After', String(deps.settings.retryAfterSeconds));
      ctx.body = loginAnswer(session);
      return;
    }
    ctx.state.audit.event = 'kubeconfig';
    ctx.state.audit.session = session.name;
    const token =
      mode === 'proxy'
        ? deps.sessions.proxyToken(session.name)
        : (await deps.sessions.token(session.name, ctx.state.signal)).token;
    const shortName = name ?? caller.username.split('@', 1)[0] ?? caller.username;
    const [namespace, ...others] = session.namespaces ?? [];
    const { type, body } = renderKubeconfig(form, {
      cluster,
      token,
      clusterName: deps.settings.clusterName,
      contextName: kubeconfigName(deps.settings.contextPrefix, shortName),
      userName: kubeconfigName(deps.settings.userPrefix, shortName),
      // With several sessions it is ambiguous which one is meant, and a command could write to the wrong one.
      ...(namespace === undefined || others.length > 0 ? {} : { namespace }),
    });
    ctx.type = type;
    ctx.body = body;
  };
}

/** A session that only waits for the API server's caches is usable within moments: better than a 202. */
async function isUsable(session: SessionView, gone: AbortSignal, deps: HttpDeps): Promise<boolean> {
  if (!session.ready) return false;
  const time = AbortSignal.timeout(deps.settings.readyGraceMs);
  try {
    await deps.sessions.usable(session.name, AbortSignal.any([gone, time]));
    return true;
  } catch (error) {
    if (time.aborted && !gone.aborted) return false;
    throw error;
  }
}

const yamlTypes = ['application/yaml', 'text/yaml', 'application/x-yaml'];

function acceptedForm(ctx: ApiContext): KubeconfigForm {
  ctx.vary('Accept');
  if (ctx.get('Accept').trim() === '') return 'map';
  // A wildcard gets the first.
  const type = ctx.accepts([...yamlTypes, 'application/json']);
  if (type === false) {
    throw new ApiError(406, 'bad_request', 'a kubeconfig comes as application/yaml or application/json');
  }
  return type === 'application/json' ? 'json' : 'yaml';
}

/** The default is direct, as released clients expect, where the API server's address is known; else proxy. */
function wishedCluster(ctx: ApiContext, deps: HttpDeps): { readonly mode: Mode; readonly cluster: ClusterInfo } {
  const text = ctx.query['mode'];
  const wish = modeSchema.optional().safeParse(text === '' ? undefined : text);
  if (!wish.success) throw new ApiError(400, 'bad_request', '`mode` must be direct or proxy');
  const root = ctx.query['root'];
  if (root !== undefined && root !== '' && root !== 'true' && root !== 'false')
    throw new ApiError(400, 'bad_request', '`root` must be true or false');
  const ways: Readonly<Record<Mode, ClusterInfo | undefined>> = {
    direct: deps.clusterInfo(),
    proxy: deps.proxyInfo(root === 'true' ? 'root' : 'prefix'),
  };
  const offered = modes.filter((mode) => deps.settings.modes.includes(mode) && ways[mode] !== undefined);
  const mode = wish.data ?? offered[0];
  const cluster = mode === undefined ? undefined : ways[mode];
  if (mode !== undefined && cluster !== undefined && offered.includes(mode)) return { mode, cluster };
  const [other] = offered;
  throw new ApiError(
    422,
    'unprocessable',
    `the mode ${mode ?? 'direct'} is not offered by this server${reasonOf(deps, mode)}`,
    {
      advice: [other === undefined ? 'ask the admin of tka to set clusterInfo.apiEndpoint' : `ask for mode=${other}`],
    },
  );
}

function reasonOf(deps: HttpDeps, mode: Mode | undefined): string {
  if (mode === 'proxy' || !deps.settings.modes.includes('direct')) return '';
  return ": it does not know the API server's address (clusterInfo.apiEndpoint)";
}
