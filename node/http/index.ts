/**
 * The HTTP API as configured, on a server for the tailnet's listeners. Requests for the Kubernetes API are refused here: on the port that
 * has it, the engine asks the proxy.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../config/settings.ts';
import { createApp } from './app.ts';
import type { HttpDeps, HttpSettings } from './deps.ts';
import { createLoginLimiter } from './limits.ts';
import { type TailnetServer, createTailnetServer } from './server.ts';
import { controlHost } from './subject.ts';

export function httpSettings(config: Config, version: string): HttpSettings {
  return {
    version,
    clusterName: config['operator.clusterName'],
    labels: config['clusterInfo.labels'],
    contextPrefix: config['operator.contextPrefix'],
    userPrefix: config['operator.userPrefix'],
    controlHost: controlHost(config['tailscale.controlUrl']),
    capability: config['tailscale.capName'],
    ownNamespaces: ['tka-system', config['kubernetes.namespace'], config['operator.namespace']],
    modes: config['api.modes'],
    retryAfterSeconds: config['api.retryAfterSeconds'],
    logoutTimeoutMs: 15_000,
    readyGraceMs: 2_000,
  };
}

export interface HttpOptions extends Omit<HttpDeps, 'limiter' | 'now' | 'newRequestId'> {
  readonly config: Config;
  readonly proxy: {
    handles(req: Pick<IncomingMessage, 'rawHeaders'> & { readonly url: string }): boolean;
    refuse(req: IncomingMessage, res: ServerResponse): void;
  };
}

export function createHttp({ config, proxy, ...deps }: HttpOptions): TailnetServer {
  const app = createApp({
    ...deps,
    limiter: createLoginLimiter(
      {
        perSubjectPerMinute: config['limits.loginsPerMinute'],
        totalPerMinute: config['limits.totalLoginsPerMinute'],
      },
      () => performance.now(),
    ),
    now: () => new Date(),
    newRequestId: randomUUID,
  });
  const handle = app.callback();
  const isProxied = ({ url = '', rawHeaders }: IncomingMessage): boolean =>
    deps.settings.modes.includes('proxy') && proxy.handles({ url, rawHeaders });
  return createTailnetServer((req, res) => (isProxied(req) ? proxy.refuse(req, res) : void handle(req, res)));
}
