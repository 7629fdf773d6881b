/**
 * An embedded tailnet node for Node programs: Tailscale's own client in a child process, no tailscaled, no TUN device, no
 * privileges. `createNode` starts at once; whoever calls it closes it.
 */
import { resolve } from 'node:path';
import { findEngine, isExecutable, packagesSeenFrom } from './engine-path.ts';
import type { Environment } from './environment.ts';
import type { NodeOptions, TailnetNode } from './node.ts';
import { EmbeddedNode } from './tailnet-node.ts';

export * from './errors.ts';
export type * from './decider.ts';
export type * from './node.ts';
export type * from './peer.ts';

/**
 * Throws an EngineNotFoundError; everything later is told by the node's state and `whenReady`. `environment` says where the
 * engine is (TKA_ENGINE) and how it reaches the control server (proxies, certificates); no more of it gets there.
 */
export function createNode(options: NodeOptions, environment: Environment = process.env): TailnetNode {
  const { enginePath } = options;
  const directory = import.meta.dirname;
  const find = (): string =>
    findEngine({
      environment,
      directory,
      platform: `${process.platform}-${process.arch}`,
      isExecutable,
      inPackage: packagesSeenFrom(directory),
    });
  return new EmbeddedNode(options, {
    command: [enginePath === undefined ? find() : resolve(enginePath)],
    processEnvironment: environment,
    timings: {
      heartbeatMs: 500,
      suspectAfterMs: 100,
      deadAfterMs: 5_000,
      firstPauseMs: 50,
      longestPauseMs: 30_000,
      lastingMs: 30_000,
      stopWithinMs: 8_000,
      preambleWithinMs: 5_000,
    },
    random: Math.random,
    nowMs: () => performance.now(),
  });
}
