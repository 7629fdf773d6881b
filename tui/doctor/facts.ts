/**
 * What the checks look at, each found out once, when the first check asks for it. Nothing is changed anywhere: no pin is
 * written, no session opened. `close` ends the connection to the server.
 */
import type { ServerFacts } from '../api/api.ts';
import type { Reached } from '../connection/connect.ts';
import type { DoctorFlags } from '../flags.ts';
import type { OwnContext } from '../kubeconfig/entries.ts';
import type { KubeconfigFiles } from '../kubeconfig/file.ts';
import type { Runtime } from '../runtime.ts';
import type { Settings } from '../config/types.ts';
import type { SessionRow } from '../sessions/session-list.ts';
import type { Tailnet } from '../tailnet/types.ts';
import type { WhoamiResponse } from '../../node/http/contract.ts';

export interface Facts {
  readonly runtime: Runtime;
  readonly flags: DoctorFlags;
  /** Of each question to a server or a program. */
  readonly timeoutMs: number;
  readonly settings: () => Promise<Settings>;
  readonly tailnet: () => Promise<Tailnet>;
  /** The server that the other commands would talk to; nothing is sent yet. */
  readonly server: () => Promise<Reached>;
  readonly answer: () => Promise<ServerAnswer>;
  readonly whoami: () => Promise<WhoamiResponse>;
  readonly sessions: () => Promise<readonly SessionRow[]>;
  readonly kubeconfig: () => Promise<Kubeconfig>;
  readonly close: () => void;
}

export interface ServerAnswer extends ServerFacts {
  readonly tookMs: number;
  /** How far the server's clock is ahead of ours; undefined where it does not say. */
  readonly skewMs: number | undefined;
}

export interface Kubeconfig extends KubeconfigFiles {
  readonly paths: readonly string[];
  readonly own: readonly OwnContext[];
}

export function gatherFacts(runtime: Runtime, flags: DoctorFlags): Facts {
  const { signal } = runtime;
  const timeoutMs = flags.timeoutMs ?? 5000;
  const config = flags.config === undefined ? {} : { config: flags.config };
  let reached: Reached | undefined;

  const kubeconfig = once(async () => {
    const [{ kubeconfigPaths, readKubeconfig }, { ownContexts }] = await Promise.all([
      import('../kubeconfig/file.ts'),
      import('../kubeconfig/entries.ts'),
    ]);
    const paths = kubeconfigPaths(runtime.env, flags.kubeconfig);
    const files = readKubeconfig(paths);
    return { ...files, paths, own: ownContexts(files.files) };
  });
  // That the kubeconfig is broken is one check's matter; for the others it has nothing.
  const own = once(() =>
    kubeconfig().then(
      (found) => found.own,
      () => [],
    ),
  );
  const server = once(async () => {
    const [{ reach }, { lastServer }, { sameServers }] = await Promise.all([
      import('../connection/connect.ts'),
      import('../kubeconfig/entries.ts'),
      import('../trust/same-server.ts'),
    ]);
    const remembered = { server: lastServer(await own(), sameServers(runtime.env)) };
    // That it is another machine than before is a finding, not a warning beside it.
    reached = await reach(runtime, flags, { purpose: 'look', remembered, warn: () => {}, signal });
    return reached;
  });
  const access = once(async () => {
    const [{ readAccess }, { api, server: origin }] = await Promise.all([
      import('../sessions/caller-access.ts'),
      server(),
    ]);
    await answer();
    return readAccess(runtime, { api, server: origin, signal, contexts: await own() });
  });
  const answer = once(async () => {
    const { api } = await server();
    const startedAt = runtime.now().getTime();
    const facts = await api.wellKnown({ signal, timeoutMs });
    const now = runtime.now().getTime();
    const date = api.serverDate();
    return { ...facts, tookMs: now - startedAt, skewMs: date === undefined ? undefined : date.getTime() - now };
  });

  return {
    runtime,
    flags,
    timeoutMs,
    settings: once(async () => (await import('../config/settings.ts')).readSettings(runtime, config)),
    tailnet: once(async () => (await import('../tailnet/tailnet.ts')).readTailnet(runtime, { signal, ...config })),
    server,
    answer,
    whoami: async () => (await access()).whoami,
    sessions: async () => (await access()).sessions,
    kubeconfig,
    close: () => reached?.close(),
  };
}

function once<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | undefined;
  return () => (found ??= find());
}
