/**
 * What can go wrong with a tailnet node, by what its catcher does next.
 */

/** The engine ended or stopped answering while something was asked of it. It is being started again: try again soon. */
export class EngineGoneError extends Error {
  override readonly name = 'EngineGoneError';
}

/** The binary speaks another version of the control protocol, or is no engine. Give up: the installation is mixed. */
export class ProtocolMismatchError extends Error {
  override readonly name = 'ProtocolMismatchError';
}

/** There is no engine to run. Give up: the message says how to make one. */
export class EngineNotFoundError extends Error {
  override readonly name = 'EngineNotFoundError';
}

/** The node cannot join its tailnet, and trying again will not help. Tell the operator. */
export class JoinError extends Error {
  override readonly name: string = 'JoinError';
}

/** The control server has refused the node: its key, its tags. Another key may help. */
export class JoinRefusedError extends JoinError {
  override readonly name = 'JoinRefusedError';
}

/** Another node, node key or user is behind a connection than at its start. The connection is destroyed. */
export class IdentityChangedError extends Error {
  override readonly name = 'IdentityChangedError';
}

/** The engine refused a request. `code` as in protocol.ts. */
export class EngineRequestError extends Error {
  override readonly name = 'EngineRequestError';
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The node was closed by its owner while something waited for it. */
export class NodeClosedError extends Error {
  override readonly name = 'NodeClosedError';
}
