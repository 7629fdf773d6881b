/**
 * Continuous authorization over a world that a test changes: passes follow each other at once, time is the test's.
 */
import type { ExecutionContext } from 'ava';
import { annotations, type TkaSignin } from '../../crd/tkasignin.ts';
import { type SigninOverrides, testSignin } from '../../reconciler/testing/signin.ts';
import { type AuthorizationDeps, startAuthorization } from '../sessions/authorization.ts';
import type { Caller } from '../http/state.ts';
import type { Identity } from '../tsnet/peer.ts';

const start = new Date('2026-01-01T00:00:00Z');
export const hour = 3_600_000;
export const alice = { id: '1', loginName: 'alice@example.com', displayName: 'Alice' };

export interface World {
  sessions: TkaSignin[];
  /** By node; one that is absent is not in the answer at all. */
  identities: Map<string, Identity>;
  periodMs: number | undefined;
  isEngineAway: boolean;
  controlAwayMs: number;
  now: number;
  readonly asked: (readonly string[])[];
  readonly ended: [name: string, reason: string][];
  readonly shortened: [name: string, endsAt: string][];
  readonly log: Record<string, unknown>[];
  rechecks: number;
  admitted(uid: string): void;
  hint(): void;
  /** When `count` passes more have been made. */
  passes(count: number): Promise<void>;
  stop(): Promise<void>;
}

export function setup(t: ExecutionContext, overrides: Partial<AuthorizationDeps> = {}): World {
  const listeners = new Set<() => void>();
  const waiting = new Set<() => void>();
  const world: World = {
    sessions: [session()],
    identities: new Map([['n1', identity()]]),
    periodMs: hour,
    isEngineAway: false,
    controlAwayMs: 0,
    now: 0,
    asked: [],
    ended: [],
    shortened: [],
    log: [],
    rechecks: 0,
    admitted: (uid) => authorization.admitted(uid),
    hint: () => listeners.forEach((listener) => listener()),
    stop: () => authorization.stop(),
    async passes(count) {
      const target = world.rechecks + count;
      while (world.rechecks < target) await new Promise<void>((resolve) => waiting.add(resolve));
    },
  };
  const line = (fields: object): void => void world.log.push({ ...fields });
  const authorization = startAuthorization({
    sessions: () => world.sessions,
    identities(nodes) {
      world.asked.push(nodes);
      if (world.isEngineAway) return Promise.reject(new Error('the engine is away'));
      return Promise.resolve(new Map([...world.identities].filter(([node]) => nodes.includes(node))));
    },
    callerFrom(found) {
      if (found.user === undefined) throw new Error('no user');
      // Only what authorization reads.
      return { subject: `h|user:${found.user.id}`, username: found.user.loginName } as Caller;
    },
    periodMs: () => world.periodMs,
    end(name, reason) {
      world.ended.push([name, reason]);
      world.sessions = world.sessions.filter((signin) => signin.metadata.name !== name);
      return Promise.resolve();
    },
    shorten({ metadata }, endsAt) {
      world.shortened.push([metadata.name, endsAt.toISOString()]);
      world.sessions = [session({ spec: { expiresAt: endsAt.toISOString() } })];
      return Promise.resolve();
    },
    recheckStreams() {
      world.rechecks += 1;
      for (const resolve of waiting) resolve();
      waiting.clear();
      return Promise.resolve();
    },
    onHint(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    log: { info: line, warn: line, error: line },
    everyMs: 1,
    secondLookMs: 2,
    maxUnknownMs: 1000,
    controlAwayMs: () => world.controlAwayMs,
    newsMs: 0,
    isLeading: () => true,
    now: () => world.now,
    date: () => start,
    ...overrides,
  });
  t.teardown(() => authorization.stop());
  return world;
}

export function session({ metadata, ...rest }: SigninOverrides = {}): TkaSignin {
  const uid = metadata?.name === undefined ? {} : { uid: `uid-of-${metadata.name}` };
  return testSignin({ metadata: { annotations: { [annotations.node]: 'n1' }, ...uid, ...metadata }, ...rest });
}

export function identity(more: Partial<Identity> = {}): Identity {
  const found: Partial<Identity> = {
    nodeId: 'n1',
    nodeName: 'laptop',
    user: alice,
    tags: [],
    capabilities: {},
    ...more,
  };
  // Only what authorization reads.
  return found as Identity;
}
