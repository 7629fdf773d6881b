/**
 * Translates what the API server answered, or why it did not, into the reconciler's errors.
 */
import * as z from 'zod';
import {
  type ApiError,
  ApiUnavailableError,
  ConflictError,
  ForbiddenError,
  GoneError,
  InvalidError,
  NotFoundError,
  UnauthorizedError,
} from '../../reconciler/errors.ts';
import type { Description } from './describe.ts';

const statusSchema = z.object({ kind: z.literal('Status'), message: z.string() });

/** The error of an answer of 400 and above. */
export function errorFor(status: number, body: string, { verb, resource, namespace, name }: Description): ApiError {
  const where = `${name === undefined ? '' : ` ${name}`}${namespace === undefined ? '' : ` in ${namespace}`}`;
  const message = `cannot ${verb} ${resource}${where}: ${reasonIn(body) ?? `the API server answered ${status}`}`;
  return new (classFor(status))(verb, resource, message);
}

/** The error of a request that got no answer. */
export function unavailable({ verb, resource }: Description, cause: unknown): ApiUnavailableError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ApiUnavailableError(verb, resource, `cannot reach the API server to ${verb} ${resource}: ${why}`, {
    cause,
  });
}

function classFor(status: number): new (verb: string, resource: string, message: string) => ApiError {
  switch (status) {
    case 401:
      return UnauthorizedError;
    case 403:
      return ForbiddenError;
    case 404:
      return NotFoundError;
    case 409:
      return ConflictError;
    case 410:
      return GoneError;
    case 408:
    case 429:
      return ApiUnavailableError;
    default:
      return status >= 500 ? ApiUnavailableError : InvalidError;
  }
}

function reasonIn(body: string): string | undefined {
  try {
    const parsed = statusSchema.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data.message.slice(0, 2000) : undefined;
  } catch {
    return undefined;
  }
}
