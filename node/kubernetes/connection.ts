/**
 * The one connection to the API server: credentials, connections, counts and errors for all of tka's requests.
 *
 * The kubeconfig is the file given, else the pod's ServiceAccount, else kubectl's default rules. All typed clients share
 * one pool of connections (kubernetes/transport.ts); so do all clients of withToken(), which carry a bearer token
 * and nothing else of tka's. Calls take a signal by `during()` (reconciler/cluster.ts) and have a deadline of 10 s.
 * The caller that connects closes.
 */
import { existsSync, readFileSync } from 'node:fs';
import {
  AuthorizationV1Api,
  type Configuration,
  CoreV1Api,
  createConfiguration,
  CustomObjectsApi,
  HttpMethod,
  KubeConfig,
  RbacAuthorizationV1Api,
  type SecurityAuthentication,
  ServerConfiguration,
  VersionApi,
  type V1ResourceRule,
} from '@kubernetes/client-node';
import type { Logger } from 'pino';
import type { Dispatcher } from 'undici';
import { type Clients, type Cluster, during } from '../../reconciler/cluster.ts';
import { NotFoundError } from '../../reconciler/errors.ts';
import type { Access } from './access.ts';
import { impersonationHeaders } from './impersonation.ts';
import { createTransport, type RequestCount, serverOf } from './transport.ts';

export interface KubernetesOptions {
  /** Path of a kubeconfig file; empty or absent: the default rules. */
  readonly kubeconfig?: string;
  /** Name of a context in it; empty or absent: its current one. */
  readonly context?: string;
  readonly log: Logger;
  /** Told of each request when it is over. */
  readonly onRequest?: (request: RequestCount) => void;
  /** Around every request, outermost last. */
  readonly interceptors?: readonly Dispatcher.DispatcherComposeInterceptor[];
  /** Appended to the User-Agent, as a version. */
  readonly version?: string;
}

/** What a kubeconfig needs to reach the API server as tka does. */
export interface ClusterEndpoint {
  readonly server: string;
  /** Base64 of PEM; empty where the system's roots are trusted. */
  readonly caData: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName?: string;
}

export interface Kubernetes extends Cluster {
  version(
    signal: AbortSignal,
  ): Promise<{ readonly major: string; readonly minor: string; readonly gitVersion: string }>;
  /** What is at this path, for example /apis/apiextensions.k8s.io/v1/customresourcedefinitions/NAME; undefined where nothing exists. */
  object(path: string, signal: AbortSignal): Promise<unknown>;
  /** The rules for tka itself in this namespace; may be incomplete. */
  rules(namespace: string, signal: AbortSignal): Promise<readonly V1ResourceRule[]>;
  /** Whether tka itself has this access. */
  may(access: Access, signal: AbortSignal): Promise<boolean>;
  /** Over a separate connection, for what must not wait behind other requests. It is opened on first use. */
  readonly apart: Clients;
  readonly endpoint: ClusterEndpoint;
  /** The name of the kubeconfig's context, for people. */
  readonly contextName: string;
  /** Waits for requests under way. */
  close(): Promise<void>;
}

/** The configuration names no reachable API server; the message says which key to set. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError';
}

const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export function connectKubernetes(options: KubernetesOptions): Kubernetes {
  const kubeConfig = loadKubeConfig(options);
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new KubeconfigError('the kubeconfig has no cluster: set kubernetes.kubeconfig');
  const userAgent = `tka/${options.version ?? 'dev'}`;
  const shared = {
    userAgent,
    ...(options.onRequest && { onRequest: options.onRequest }),
    ...(options.interceptors && { interceptors: options.interceptors }),
  };
  const impersonation = impersonationIn(options, kubeConfig);
  const own = createTransport({ ...shared, kubeConfig, impersonation });
  const apart = createTransport({ ...shared, kubeConfig, impersonation });
  const server = new ServerConfiguration(serverOf(kubeConfig), {});
  const configuration = createConfiguration({ baseServer: server, httpApi: own.http });

  // The same server without a user, on separate connections, so that no client certificate authenticates a token's request.
  const userless = new KubeConfig();
  userless.loadFromClusterAndUser(cluster, { name: 'anonymous' });
  const anonymous = createTransport({ ...shared, kubeConfig: userless });

  const authorization = new AuthorizationV1Api(configuration);
  const versions = new VersionApi(configuration);
  options.log.debug({ server: cluster.server, context: kubeConfig.getCurrentContext() }, 'using this API server');

  return {
    ...clientsOf(configuration),
    apart: clientsOf(createConfiguration({ baseServer: server, httpApi: apart.http })),
    checkedBy: (check) => clientsOf(createConfiguration({ baseServer: server, httpApi: own.checkedBy(check) })),
    watch: (path, query, signal) => own.watch(path, query, signal),
    withToken: (token) =>
      new AuthorizationV1Api(
        createConfiguration({ baseServer: server, httpApi: anonymous.http, authMethods: { default: bearer(token) } }),
      ),
    async version(signal) {
      const { major, minor, gitVersion } = await versions.getCode({}, during(signal));
      return { major, minor, gitVersion };
    },
    async object(path, signal) {
      const request = server.makeRequestContext(path, HttpMethod.GET);
      request.setSignal(signal);
      request.setHeaderParam('accept', 'application/json');
      try {
        const answer = await own.http.send(request).toPromise();
        return JSON.parse(await answer.body.text()) as unknown;
      } catch (error) {
        if (error instanceof NotFoundError) return undefined;
        throw error;
      }
    },
    async rules(namespace, signal) {
      const { status } = await authorization.createSelfSubjectRulesReview(
        { body: { spec: { namespace } } },
        during(signal),
      );
      return status?.resourceRules ?? [];
    },
    async may(access, signal) {
      const body = { spec: { resourceAttributes: access } };
      const { status } = await authorization.createSelfSubjectAccessReview({ body }, during(signal));
      return status?.allowed ?? false;
    },
    endpoint: endpointOf(cluster),
    contextName: kubeConfig.getCurrentContext(),
    async close() {
      await Promise.all([own.close(), apart.close(), anonymous.close()]);
    },
  };
}

function clientsOf(configuration: Configuration): Clients {
  return {
    core: new CoreV1Api(configuration),
    rbac: new RbacAuthorizationV1Api(configuration),
    custom: new CustomObjectsApi(configuration),
  };
}

function loadKubeConfig({ kubeconfig = '', context = '' }: KubernetesOptions): KubeConfig {
  const kubeConfig = new KubeConfig();
  try {
    if (kubeconfig !== '') kubeConfig.loadFromFile(kubeconfig);
    else if (process.env['KUBERNETES_SERVICE_HOST'] !== undefined && existsSync(tokenPath))
      kubeConfig.loadFromCluster();
    else kubeConfig.loadFromDefault();
  } catch (error) {
    const where = kubeconfig || (process.env['KUBECONFIG'] ?? '~/.kube/config');
    const why = error instanceof Error ? error.message : String(error);
    throw new KubeconfigError(`cannot read the kubeconfig ${where}: ${why}; set kubernetes.kubeconfig`, {
      cause: error,
    });
  }
  if (context !== '') {
    if (kubeConfig.getContextObject(context) === null) {
      const names = kubeConfig.getContexts().map(({ name }) => name);
      throw new KubeconfigError(
        `the kubeconfig has no context ${context} (it has ${names.join(', ') || 'none'}): set kubernetes.context`,
      );
    }
    kubeConfig.setCurrentContext(context);
  }
  const current = kubeConfig.getCurrentCluster();
  // client-node's fallback where it finds no kubeconfig; never intended.
  if (current === null || (current.server === 'http://localhost:8080' && current.name === 'cluster')) {
    throw new KubeconfigError(
      'no kubeconfig: set kubernetes.kubeconfig (or KUBECONFIG) to one whose current-context is the cluster, or run tka in it',
    );
  }
  return kubeConfig;
}

/** Only for a configured file: the default places and a pod's account do not impersonate. */
function impersonationIn({ kubeconfig = '' }: KubernetesOptions, kubeConfig: KubeConfig) {
  const user = kubeConfig.getCurrentUser();
  if (kubeconfig === '' || user === null) return {};
  return impersonationHeaders(readFileSync(kubeconfig, 'utf8'), user.name);
}

function endpointOf(cluster: NonNullable<ReturnType<KubeConfig['getCurrentCluster']>>): ClusterEndpoint {
  const { server, caData, caFile, skipTLSVerify, tlsServerName } = cluster;
  return {
    server,
    caData: caData ?? (caFile === undefined ? '' : readFileSync(caFile).toString('base64')),
    insecureSkipTlsVerify: skipTLSVerify ?? false,
    ...(tlsServerName === undefined ? {} : { tlsServerName }),
  };
}

function bearer(token: string): SecurityAuthentication {
  return {
    getName: () => 'bearer token',
    applySecurityAuthentication(request) {
      request.setHeaderParam('authorization', `Bearer ${token}`);
    },
  };
}
