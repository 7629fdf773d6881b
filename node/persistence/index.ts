/**
 * State that outlives the server's process: the tailnet node's state and the server key, each in files of `tailscale.stateDir` or in a
 * Secret. The caller that opens it closes it, after the node is closed.
 */
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import * as z from 'zod';
import { systemClock } from '../../reconciler/clock.ts';
import { during } from '../../reconciler/cluster.ts';
import type { Access } from '../kubernetes/access.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { secretAt } from './secret.ts';
import type { WatchedKey } from './server-key.ts';
import { watchServerKey } from './server-key.ts';
import { openServerKeySecret } from './server-key-secret.ts';
import type { Config } from '../config/settings.ts';
import { type StateSecret, openStateSecret } from './state-secret.ts';
import type { StateStore } from '../tsnet/node.ts';

const signins = z.object({ items: z.array(z.unknown()) });

export interface Persistence {
  readonly serverKey: WatchedKey;
  /** Undefined: the node stores it in its directory. */
  readonly state: StateStore | undefined;
  /** Problems with the persisted state, each with its remedy. */
  problems(): readonly string[];
  /** Rejects when another server has taken the state over; never resolves. */
  readonly lost: Promise<never>;
  close(): Promise<void>;
}

export interface PersistenceOptions {
  readonly config: Config;
  readonly kubernetes: Kubernetes;
  readonly log: Logger;
  /** Called with what the start waits for. */
  readonly onWait: (words: string) => void;
}

/** The access that tka needs to the configured Secrets. */
export function secretAccess(config: Config): readonly Access[] {
  const on = (name: string, verbs: readonly string[]): readonly Access[] =>
    name === ''
      ? []
      : verbs.map((verb) => ({
          verb,
          group: '',
          resource: 'secrets',
          namespace: config['kubernetes.namespace'],
          name,
        }));
  return [
    ...on(config['tailscale.stateSecret'], ['get', 'patch']),
    ...on(config['api.serverKeySecret'], ['get', 'watch', 'patch']),
  ];
}

export async function openPersistence(
  { config, kubernetes, log, onWait }: PersistenceOptions,
  stop: AbortSignal,
): Promise<Persistence> {
  const clock = systemClock;
  const [stateName, keyName] = [config['tailscale.stateSecret'], config['api.serverKeySecret']];
  const secretOf = (name: string) => secretAt(kubernetes, config['kubernetes.namespace'], name);
  const closes: (() => Promise<void>)[] = [];
  let serverKey: WatchedKey | undefined;
  let isNewInstallation = false;
  let state: StateSecret | undefined;
  try {
    if (keyName === '') {
      serverKey = watchServerKey(config['tailscale.stateDir'], {
        onTrouble: (error) =>
          log.error({ reason: error.message }, 'cannot read the server key: the last one stays in use'),
      });
    } else {
      const shared = await openServerKeySecret({ secret: secretOf(keyName), log, clock, onWait, wasServing }, stop);
      closes.push(() => shared.close());
      serverKey = shared;
      isNewInstallation = shared.isNew;
    }
    if (stateName === '') {
      return { serverKey, state: undefined, problems, lost: new Promise(() => {}), close: closeAll };
    }
    // The next run of a server has the same name.
    const server = config['replicas.identity'] || hostname();
    state = await openStateSecret({ secret: secretOf(stateName), server, log, clock, onWait, isNewInstallation }, stop);
    const opened = state;
    closes.push(() => opened.close());
    return { serverKey, state, problems, lost: state.lost, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }

  function problems(): readonly string[] {
    return [serverKey?.problem(), state?.problem()].filter((problem) => problem !== undefined);
  }

  /** Evidence that a key existed: every installation creates its key before it joins, and long before its first session. */
  async function wasServing(): Promise<string | undefined> {
    if (stateName !== '' && (await secretOf(stateName).read(stop)).values.size > 0) {
      return `${secretOf(stateName).name} holds a node that has joined`;
    }
    const namespace = config['operator.namespace'];
    const answer = signins.parse(
      await kubernetes.custom.listNamespacedCustomObject(
        { group: 'tka.specht-labs.de', version: 'v1alpha1', namespace, plural: 'tkasignins', limit: 1 },
        during(stop),
      ),
    );
    return answer.items.length === 0 ? undefined : `there are sessions in ${namespace}`;
  }

  async function closeAll(): Promise<void> {
    await Promise.all(closes.map((close) => close()));
  }
}
