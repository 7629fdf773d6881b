/**
 * A real cluster with tka's reconciler in this process, under the rights and admission policies of manifests/, without
 * a tailnet; and the world as its admin sees it. Every reconciler that a test starts is its own process in all but name: its own
 * connection, its own memory. Whoever starts one disposes of it.
 */
import type { V1PolicyRule } from '@kubernetes/client-node';
import { pino } from 'pino';
import { send } from '../../dev/stack/send.ts';
import { type ClusterStack, startStack } from '../../dev/stack/stack.ts';
import { until } from '../../dev/stack/until.ts';
import { group, labels, managedByValue, plural, type TkaSignin, version } from '../../crd/tkasignin.ts';
import { electionLease } from '../../node/kubernetes/access.ts';
import { connectKubernetes, type Kubernetes, type KubernetesOptions } from '../../node/kubernetes/connection.ts';
import { type Clock, systemClock } from '../../reconciler/clock.ts';
import { NotFoundError } from '../../reconciler/errors.ts';
import { startReconciler } from '../../reconciler/index.ts';
import type { Replicas } from '../../reconciler/election/leadership.ts';
import { createLeaseStore } from '../../reconciler/election/lease.ts';
import type { Reconciler, SignInRequest } from '../../reconciler/reconciler.ts';

export const namespace = 'tka-sessions';
/** Long enough for a busy machine; nothing here takes a tenth of it. */
export const patience = (): AbortSignal => AbortSignal.timeout(20_000);

export const inSeconds = (seconds: number): Date => new Date(Date.now() + seconds * 1000);

export interface Running extends AsyncDisposable {
  readonly reconciler: Reconciler;
  readonly kubernetes: Kubernetes;
  /** `verb resource status`, one for each request so far; `take()` empties it. */
  readonly requests: { take(): readonly string[] };
  /** What the observer was told, as words. */
  readonly told: readonly string[];
}

export interface RunOptions {
  readonly interceptors?: KubernetesOptions['interceptors'];
  /** Added to this process's time. */
  readonly aheadMs?: number;
  /** Ends the wait for the start. */
  readonly signal?: AbortSignal;
  /** One of several, by this name, with a lease of 3 s. */
  readonly replica?: string;
}

export class World implements AsyncDisposable {
  readonly stack: ClusterStack;
  /** As the cluster's admin. */
  readonly admin: Kubernetes;
  /** Path; with a token of tka's own account. */
  readonly tkaKubeconfig: string;

  private constructor(stack: ClusterStack, admin: Kubernetes, tkaKubeconfig: string) {
    this.stack = stack;
    this.admin = admin;
    this.tkaKubeconfig = tkaKubeconfig;
  }

  static async start(): Promise<World> {
    const stack = await startStack({ tailnet: false });
    const admin = connectKubernetes({ kubeconfig: stack.kubeconfig, log: silent });
    return new World(stack, admin, await stack.kubernetes.accountKubeconfig('tka-system', 'tka'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin.close();
    await this.stack.close();
  }

  /** A reconciler with the sessions in its cache and its first sweep behind it. */
  async run(options: RunOptions = {}): Promise<Running> {
    const requests: string[] = [];
    const told: string[] = [];
    const kubernetes = connectKubernetes({
      kubeconfig: this.tkaKubeconfig,
      log: silent,
      onRequest: ({ verb, resource, status }) => requests.push(`${verb} ${resource} ${status}`),
      ...(options.interceptors && { interceptors: options.interceptors }),
    });
    const reconciler = startReconciler({
      cluster: kubernetes,
      namespace,
      log: silent,
      clock: aheadBy(options.aheadMs ?? 0),
      ...(options.replica === undefined ? {} : { replicas: asReplica(kubernetes, options.replica) }),
      observer: {
        sessionEnded: (reason) => told.push(`ended: ${reason}`),
        orphanRemoved: (kind) => told.push(`orphan: ${kind}`),
        cleanupStuck: (_name, stuck) => stuck && told.push('stuck'),
        foreignBindings: (count) => told.push(`foreign bindings: ${count}`),
        tokenMinted: () => told.push('minted'),
        retried: () => told.push('retried'),
      },
    });
    const stop = async (): Promise<void> => {
      await reconciler.stop();
      await kubernetes.close();
    };
    const running = {
      reconciler,
      kubernetes,
      told,
      requests: { take: () => requests.splice(0) },
      [Symbol.asyncDispose]: stop,
    };
    try {
      const swept = (): boolean => told.some((words) => words.startsWith('foreign bindings'));
      const isDone = (): boolean =>
        reconciler.state.isLeading ? swept() : options.replica !== undefined && requests.some(isLookAtLease);
      await until(() => reconciler.state.synced && isDone(), {
        what: 'the first list and sweep',
        timeoutMs: 20_000,
        everyMs: 5,
        signal: options.signal,
      });
    } catch (error) {
      await stop();
      throw error;
    }
    return running;
  }

  /** Kind, place and name of everything that carries this installation's labels, and of every TkaSignin. */
  async objects(): Promise<readonly string[]> {
    const labelSelector = `${labels.managedBy}=${managedByValue},${labels.install}=${namespace}`;
    const [signins, accounts, cluster, namespaced] = await Promise.all([
      this.signins(),
      this.admin.core.listServiceAccountForAllNamespaces({ labelSelector }),
      this.admin.rbac.listClusterRoleBinding({ labelSelector }),
      this.admin.rbac.listRoleBindingForAllNamespaces({ labelSelector }),
    ]);
    return [
      ...signins.map(({ metadata }) => `TkaSignin ${metadata.name}`),
      ...accounts.items.map(({ metadata }) => `ServiceAccount ${metadata?.name}`),
      ...cluster.items.map(({ metadata }) => `ClusterRoleBinding ${metadata?.name}`),
      ...namespaced.items.map(({ metadata }) => `RoleBinding ${metadata?.namespace}/${metadata?.name}`),
    ].sort();
  }

  /** As the API server has them. */
  async signins(): Promise<readonly TkaSignin[]> {
    const answer: unknown = await this.admin.custom.listNamespacedCustomObject({ group, version, namespace, plural });
    // The CRD of this repository says so.
    return (answer as { readonly items: readonly TkaSignin[] }).items;
  }

  async signin(name: string): Promise<TkaSignin | undefined> {
    return (await this.signins()).find(({ metadata }) => metadata.name === name);
  }

  async empty(): Promise<void> {
    await until(async () => (await this.objects()).length === 0, { what: 'an empty cluster', timeoutMs: 20_000 });
  }

  /** Ends every session as an administrator does, with a reconciler to carry it out. */
  async endAll(): Promise<void> {
    await this.stack.kubectl(['delete', 'tkasignins', '--all', '-n', namespace, '--wait=false']);
    await using _running = await this.run();
    await this.empty();
  }

  /** After a case that failed: takes away what holds anything, so that the next starts from nothing. */
  async reset(): Promise<void> {
    const objects = 'tkasignins,serviceaccounts,clusterrolebindings,rolebindings';
    const selector = `${labels.managedBy}=${managedByValue}`;
    const { stdout } = await this.stack.kubectl(['get', objects, '-A', '-l', selector, '-o', 'json']);
    // A List, says -o json; empty where kubectl failed.
    const { items = [] } = JSON.parse(stdout === '' ? '{}' : stdout) as { readonly items?: readonly Found[] };
    for (const { kind, metadata } of items) {
      const which = [kind, metadata.name, ...(metadata.namespace === undefined ? [] : ['-n', metadata.namespace])];
      await this.stack.kubectl(['patch', ...which, '--type=merge', '-p={"metadata":{"finalizers":null}}']);
      await this.stack.kubectl(['delete', ...which, '--ignore-not-found', '--timeout=10s']);
    }
  }

  /** The API server remembers a good token for 10 s; S1 allows 15. */
  async untilRefused(token: string): Promise<void> {
    await until(async () => (await this.statusWith(token, '/api')) === 401, {
      what: 'a dead token',
      timeoutMs: 15_000,
    });
  }

  /** Status of a request with nothing but this token. */
  async statusWith(token: string, path = '/api/v1/namespaces/default/pods'): Promise<number> {
    const { status } = await this.ask(token, 'GET', path);
    return status;
  }

  async ask(
    token: string,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: string }> {
    return await send(`${this.stack.kubernetes.url}${path}`, {
      method,
      caFile: this.stack.caFile,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Who the API server says a token is. */
  async whoIs(token: string): Promise<string> {
    const { body } = await this.ask(token, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    });
    // A SelfSubjectReview, for whoever is known.
    const review = JSON.parse(body) as { readonly status?: { readonly userInfo?: { readonly username?: string } } };
    return review.status?.userInfo?.username ?? '(nobody)';
  }

  async makeRole(name: string, rules: readonly V1PolicyRule[]): Promise<void> {
    await this.admin.rbac.createClusterRole({ body: { metadata: { name }, rules: [...rules] } });
  }

  /** Lets tka bind one more role, as an administrator would. */
  async allowBinding(name: string): Promise<void> {
    const listed = await this.admin.rbac.readClusterRole({ name: 'tka-bindable-roles' });
    const [rule] = listed.rules ?? [];
    rule?.resourceNames?.push(name);
    await this.admin.rbac.replaceClusterRole({ name: 'tka-bindable-roles', body: listed });
    // RBAC takes it up a moment later.
    await until(async () => await this.#mayBind(name), { what: `tka's right to bind ${name}`, timeoutMs: 10_000 });
  }

  async makeNamespace(name: string): Promise<void> {
    await this.admin.core.createNamespace({ body: { metadata: { name } } });
  }

  async #mayBind(name: string): Promise<boolean> {
    const { stdout } = await this.stack.kubectl(['auth', 'can-i', 'bind', `clusterroles/${name}`, `--as=${tka}`]);
    return stdout.trim() === 'yes';
  }
}

interface Found {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** tka's own user. */
export const tka = 'system:serviceaccount:tka-system:tka';

const silent = pino({ level: 'silent' });

/** A login of `user` as view for an hour, unless said otherwise. */
export function login(user: string, overrides: Partial<SignInRequest> = {}): SignInRequest {
  return {
    subject: `control.example|user:${user}`,
    username: `${user}@example.com`,
    role: 'view',
    node: 'node-1',
    endsAt: new Date(Date.now() + 3_600_000),
    ...overrides,
  };
}

/** Signs in and waits until it works. */
export async function signIn(running: Running, request: SignInRequest): Promise<TkaSignin> {
  const signal = patience();
  const stored = await running.reconciler.signIn(request, signal);
  return await running.reconciler.usable(stored.metadata.name, signal);
}

export async function tokenOf(running: Running, signin: TkaSignin): Promise<string> {
  return (await running.reconciler.token(signin.metadata.name, patience())).token;
}

export async function isMissing(read: Promise<unknown>): Promise<boolean> {
  try {
    await read;
    return false;
  } catch (error) {
    if (error instanceof NotFoundError) return true;
    throw error;
  }
}

/** As node/sessions/replicas.ts has it, at another pace. */
function asReplica(cluster: Kubernetes, identity: string): Replicas {
  return {
    store: createLeaseStore(cluster.apart, electionLease),
    identity,
    leaseMs: 3000,
    renewDeadlineMs: 2000,
    retryMs: 400,
  };
}

function isLookAtLease(request: string): boolean {
  return request === 'get leases 200';
}

function aheadBy(ms: number): Clock {
  return {
    now: () => systemClock.now() + ms,
    schedule: (callback, delayMs) => systemClock.schedule(callback, delayMs),
  };
}
