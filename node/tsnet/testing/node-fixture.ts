/** A tailnet node with a fake engine, for tests of what the node makes of it. */
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { NodeOptions, NodeState } from '../node.ts';
import { EmbeddedNode, type NodeDependencies } from '../tailnet-node.ts';

const TIMINGS: NodeDependencies['timings'] = {
  heartbeatMs: 20,
  suspectAfterMs: 20,
  deadAfterMs: 150,
  firstPauseMs: 1,
  longestPauseMs: 20,
  lastingMs: 60_000,
  stopWithinMs: 2_000,
  preambleWithinMs: 1_000,
};

/** A node whose engine is the fake one. */
export function start(t: ExecutionContext, fault = '', command?: string, options: Partial<NodeOptions> = {}) {
  const logged: string[] = [];
  const node = new EmbeddedNode(
    {
      hostname: 'tka',
      stateDir: '/nowhere',
      join: { authKey: 'tskey-secret' },
      capabilities: [],
      log: (_level, message) => logged.push(message),
      ...options,
    },
    {
      command:
        command === undefined
          ? [process.execPath, fileURLToPath(new URL('./fake-engine.ts', import.meta.url)), fault]
          : [command],
      processEnvironment: { TS_AUTHKEY: 'tskey-secret', HTTPS_PROXY: 'http://proxy' },
      timings: TIMINGS,
      random: () => 0,
      nowMs: () => performance.now(),
    },
  );
  t.teardown(() => node.close());
  return { node, logged };
}

/** Resolves with the state that fits. */
export async function until(node: EmbeddedNode, fits: (state: NodeState) => boolean): Promise<NodeState> {
  while (!fits(node.state)) {
    await new Promise<void>((resolve) => {
      const listener = (): void => {
        node.off('state', listener);
        resolve();
      };
      node.on('state', listener);
    });
  }
  return node.state;
}
