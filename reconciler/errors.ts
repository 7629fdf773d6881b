/**
 * Errors between tka and the API server, classified by what the catcher does next. node/kubernetes/connection.ts translates every
 * answer into the first group; the second group is about a session and is shown to the user who asked for it.
 */

/** A request to the API server that failed. `verb` and `resource` are RBAC's words, so that a remedy can name them. */
export abstract class ApiError extends Error {
  readonly verb: string;
  readonly resource: string;
  constructor(verb: string, resource: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.verb = verb;
    this.resource = resource;
  }
}

/** It is not there. A delete that meets this is done. */
export class NotFoundError extends ApiError {}

/** The name is taken, or the object changed since it was read. Read it, then decide again. */
export class ConflictError extends ApiError {}

/** tka lacks the right. Does not resolve by itself: tell the administrator the verb and the resource. */
export class ForbiddenError extends ApiError {}

/** The API server does not know the credential (any more). */
export class UnauthorizedError extends ApiError {}

/** The resource version is too old: list again. */
export class GoneError extends ApiError {}

/** The API server refused the object itself. A bug, or a CRD that does not fit this server. */
export class InvalidError extends ApiError {}

/** The API server is unreachable, overloaded or too slow: try again later. */
export class ApiUnavailableError extends ApiError {}

/** The session is about to end, or is being revoked: log in again. */
export class SessionEndingError extends Error {
  readonly session: string;
  constructor(session: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SessionEndingError';
    this.session = session;
  }
}

/** The API server's clock is so far ahead that a token would outlive the session; logging in again gives the same result. */
export class ClockBehindError extends Error {
  readonly session: string;
  /** How far this clock is behind the API server's. */
  readonly behindMs: number;
  constructor(session: string, behindMs: number) {
    const minutes = Math.round(behindMs / 60_000);
    super(
      `the clock of tka's server is ${minutes} min behind the API server's: ` +
        `what is left of session ${session} is too short for a token of direct mode, which lasts 10 minutes or more`,
    );
    this.name = 'ClockBehindError';
    this.session = session;
    this.behindMs = behindMs;
  }
}

/** The session is not provisioned yet: ask again in a moment. */
export class SessionNotReadyError extends Error {
  readonly session: string;
  constructor(session: string, message: string) {
    super(message);
    this.name = 'SessionNotReadyError';
    this.session = session;
  }
}

/** There is no such session. */
export class SessionNotFoundError extends Error {
  readonly session: string;
  constructor(session: string) {
    super(`there is no session ${session}`);
    this.name = 'SessionNotFoundError';
    this.session = session;
  }
}

/** The session cannot be provisioned until something changes; the message says what is missing. `reason` is its condition's. */
export class SessionFailedError extends Error {
  readonly session: string;
  readonly reason: string;
  constructor(session: string, reason: string, message: string) {
    super(message);
    this.name = 'SessionFailedError';
    this.session = session;
    this.reason = reason;
  }
}

/** This replica no longer leads, or may not: the leader does the work. */
export class NotLeadingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotLeadingError';
  }
}

/** The API server accepted the delete, but a finalizer that is not tka's keeps the object. */
export class HeldError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'HeldError';
  }
}
