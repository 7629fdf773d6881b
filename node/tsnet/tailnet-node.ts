/**
 * The tailnet node: one supervised engine, its listeners and what is known of them. Listeners outlive engines: each new
 * engine opens them again before the node counts as ready. Connections do not: when an engine ends, every connection that
 * came through it is destroyed, so that nothing is ever answered with what a former engine said of a caller.
 */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { resolve } from 'node:path';
import { abortable } from './abortable.ts';
import { type Accepted, connectionFrom } from './connection.ts';
import type { Decider } from './decider.ts';
import { serveDecisions } from './decisions.ts';
import type { Engine } from './engine.ts';
import { engineEnvironment } from './environment.ts';
import { EngineGoneError, JoinRefusedError, NodeClosedError } from './errors.ts';
import { keep, namingStore, startFields } from './state-store.ts';
import { ListenerSet } from './listener-set.ts';
import { type HandOver, openHandOver } from './listener.ts';
import { LoopbackProxy } from './loopback-proxy.ts';
import { LostConnections } from './lost-connections.ts';
import type { NodeOptions, NodeState, TailnetListener, TailnetNode, TailnetProxy } from './node.ts';
import type { Identity, TailnetConnection } from './peer.ts';
import type { DecisionsPreamble, EngineEvent, EngineRequest, Preamble } from './protocol.ts';
import { askIdentities, askIdentity, UNKNOWN } from './whois.ts';
import { RecentCallers } from './recent-callers.ts';
import { FIRST_STATE, stateFrom } from './states.ts';
import { Supervisor, type SupervisorTimings } from './supervisor.ts';

export interface NodeDependencies {
  /** The engine: program and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly processEnvironment: Readonly<Record<string, string | undefined>>;
  readonly timings: SupervisorTimings & { readonly preambleWithinMs: number };
  readonly random: () => number;
  readonly nowMs: () => number;
}

export class EmbeddedNode implements TailnetNode {
  readonly #options: NodeOptions;
  readonly #deps: NodeDependencies;
  readonly #events = new EventEmitter();
  readonly #listeners = new ListenerSet(() => this.#engine);
  readonly #proxy = new LoopbackProxy(() => this.#engine);
  readonly #connections = new WeakMap<Socket, TailnetConnection>();
  readonly #handOver: Promise<HandOver>;
  readonly #supervisor: Promise<Supervisor>;
  #engine: Engine | undefined;
  /** Whose saves are heeded. */
  #keeping: Engine | undefined;
  #nonce: string | undefined;
  #hints = 0;
  readonly #callers = new RecentCallers();
  readonly #lost: LostConnections;
  #failure: Error | undefined;
  #closed: Promise<void> | undefined;
  #state = FIRST_STATE;

  constructor(options: NodeOptions, deps: NodeDependencies) {
    this.#options = options;
    this.#deps = deps;
    this.#lost = new LostConnections(deps.nowMs);
    this.#events.setMaxListeners(0);
    this.#handOver = openHandOver({
      nonce: () => this.#nonce,
      onConnection: (socket, preamble) => this.#accept(socket, preamble),
      onDecisions: (socket, preamble) => this.#acceptDecisions(socket, preamble),
      preambleWithinMs: deps.timings.preambleWithinMs,
      log: this.#log,
    });
    this.#supervisor = this.#handOver.then((handOver) => this.#supervise(handOver));
    this.#supervisor
      .then(
        async (supervisor) => supervisor.ended.catch((error: unknown) => this.#fail(error)),
        (error: unknown) => this.#fail(error),
      )
      .catch(() => {});
  }

  get state(): NodeState {
    return this.#state;
  }

  async whenReady(signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      if (this.#failure) throw this.#failure;
      if (this.#closed) throw new NodeClosedError('the tailnet node was closed');
      if (this.#state.ready) return;
      if (this.#state.status === 'Failed')
        throw new JoinRefusedError(this.#state.reason ?? 'the node cannot join its tailnet');
      await once(this.#events, 'state', signal ? { signal } : {});
    }
  }

  async listen(
    port: number,
    { tls, decider }: { readonly tls: boolean; readonly decider?: Decider },
  ): Promise<TailnetListener> {
    if (this.#closed) throw new NodeClosedError('the tailnet node was closed');
    if (this.#failure) throw this.#failure;
    return this.#listeners.listen(port, tls, decider);
  }

  whoIs(address: string, signal?: AbortSignal): Promise<Identity> {
    return this.#identify(address, { type: 'whoIs', address }, signal);
  }

  findPeer(name: string, signal?: AbortSignal): Promise<Identity> {
    return this.#identify(name, { type: 'findPeer', name }, signal);
  }

  async proxy(signal?: AbortSignal): Promise<TailnetProxy> {
    if (this.#closed) throw new NodeClosedError('the tailnet node was closed');
    if (this.#failure) throw this.#failure;
    return signal ? abortable(this.#proxy.serve(), signal) : this.#proxy.serve();
  }

  async identify(nodeIds: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, Identity>> {
    signal?.throwIfAborted();
    const engine = this.#engine;
    if (!engine || !this.#state.ready) {
      throw new EngineGoneError(`the tailnet node is not ready: ${this.#state.reason ?? this.#state.status}`);
    }
    return askIdentities(engine, nodeIds, signal);
  }

  connectionOf(socket: Socket): TailnetConnection | undefined {
    return this.#connections.get(socket);
  }

  on(event: 'state' | 'peers', listener: (state: NodeState) => void): void {
    this.#events.on(event, listener);
  }

  off(event: 'state' | 'peers', listener: (...args: never[]) => void): void {
    // EventEmitter's own type for any listener at all.
    this.#events.off(event, listener as (...args: unknown[]) => void);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #identify(whom: string, request: EngineRequest, signal?: AbortSignal): Promise<Identity> {
    signal?.throwIfAborted();
    const engine = this.#engine;
    if (!engine) {
      if (this.#state.status === 'Starting') return UNKNOWN;
      throw new EngineGoneError(`no engine to ask who ${whom} is: ${this.#state.reason ?? this.#state.status}`);
    }
    return askIdentity(engine, request, signal);
  }

  async #close(): Promise<void> {
    const reason = new NodeClosedError('the tailnet node was closed');
    this.#listeners.abandon(reason);
    this.#proxy.abandon(reason);
    const [handOver, supervisor] = await Promise.allSettled([this.#handOver, this.#supervisor]);
    // The engine ends when the last bytes of each have been taken, and cannot tell who has more to say.
    if (handOver.status === 'fulfilled') handOver.value.destroyConnections();
    if (supervisor.status === 'fulfilled') await supervisor.value.close();
    if (handOver.status === 'fulfilled') await handOver.value.close();
    this.#forgetEngine();
    this.#setState({ ...this.#state, status: 'Stopped', ready: false });
  }

  #supervise(handOver: HandOver): Supervisor {
    const { command, processEnvironment, timings, random, nowMs } = this.#deps;
    const { caFile, uploadLogs = false } = this.#options;
    return new Supervisor({
      engine: {
        command,
        environment: engineEnvironment(
          { uploadLogs, ...(caFile === undefined ? {} : { caFile: resolve(caFile) }) },
          processEnvironment,
        ),
        onEvent: (event) => this.#observe(event),
        log: this.#log,
      },
      timings,
      random,
      nowMs,
      bringUp: (engine) => this.#bringUp(engine, handOver.socketPath),
      onGone: (reason) => {
        this.#forgetEngine();
        this.#lost.engineGone();
        handOver.destroyConnections();
        this.#log('warn', `${reason.message}; it is started again`);
        const { authUrl: _, ...rest } = this.#state;
        this.#setState({
          ...rest,
          status: 'Restarting',
          ready: false,
          reason: `${reason.message}; it is started again`,
          restarts: this.#state.restarts + 1,
        });
      },
    });
  }

  async #bringUp(engine: Engine, socketPath: string): Promise<void> {
    const { hostname, controlUrl = '', ephemeral = false, tags = [], capabilities } = this.#options;
    this.#nonce = randomBytes(32).toString('hex');
    const fields = await startFields(this.#options, socketPath);
    // From here on: the client saves before it has started.
    this.#keeping = engine;
    await engine
      .call({
        type: 'start',
        hostname,
        controlUrl,
        ephemeral,
        tags,
        capabilities,
        socketPath,
        nonce: this.#nonce,
        callers: this.#callers.addresses,
        lost: this.#lost.all,
        ...fields,
      })
      .catch((error: unknown) => Promise.reject(namingStore(error, this.#options)));
    this.#engine = engine;
    await Promise.all([this.#listeners.openAll(engine), this.#proxy.open(engine)]);
  }

  #forgetEngine(): void {
    this.#engine = undefined;
    this.#nonce = undefined;
    this.#hints++;
  }

  #accept(socket: Socket, preamble: Preamble): boolean {
    const server = this.#listeners.serverOf(preamble.listener);
    if (!server) return false;
    socket.once('close', this.#lost.opened(preamble));
    this.#connections.set(
      socket,
      this.#connectionFrom(preamble, () => socket.destroy()),
    );
    server.emit('connection', socket);
    return true;
  }

  #acceptDecisions(socket: Socket, { listener }: DecisionsPreamble): boolean {
    const decider = this.#listeners.deciderOf(listener);
    if (!decider) return false;
    serveDecisions(socket, {
      decider,
      connectionFrom: (opened, destroy) => this.#connectionFrom(opened, destroy),
      opened: (connection) => this.#lost.opened(connection),
      log: this.#log,
    });
    return true;
  }

  #connectionFrom(accepted: Accepted, destroy: () => void): TailnetConnection {
    this.#callers.note(accepted.source.address);
    return connectionFrom(accepted, {
      ask: (address) => this.whoIs(address),
      nowMs: this.#deps.nowMs,
      hints: () => this.#hints,
      destroy,
      log: this.#log,
    });
  }

  #observe(event: EngineEvent): void {
    switch (event.type) {
      case 'log':
        return this.#log(event.level, event.message);
      case 'save':
        return void (this.#options.state && this.#keeping && keep(this.#options.state, this.#keeping, event));
      case 'peers':
        this.#hints++;
        this.#events.emit('peers');
        return;
      case 'state':
        this.#setState(stateFrom(event, this.#state));
    }
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#failure = error instanceof Error ? error : new Error(String(error));
    this.#forgetEngine();
    this.#listeners.abandon(this.#failure);
    this.#proxy.abandon(this.#failure);
    this.#setState({ ...this.#state, status: 'Failed', ready: false, reason: this.#failure.message });
  }

  #setState(state: NodeState): void {
    this.#state = state;
    this.#events.emit('state', state);
  }

  readonly #log: NonNullable<NodeOptions['log']> = (level, message) => this.#options.log?.(level, message);
}
