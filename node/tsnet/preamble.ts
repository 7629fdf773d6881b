/**
 * The bytes before the bytes: what the engine says of a connection before the connection's own bytes follow. Pure: bytes
 * in, a preamble and the bytes after it out. Whoever connects without the nonce of this engine's start is not the
 * engine; nothing of what such a preamble says is believed, or repeated in an error.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { type DecisionsPreamble, decisionsPreamble, type Preamble, preambleMessage } from './protocol.ts';

export const MAX_PREAMBLE = 1 << 20;
const LENGTH_BYTES = 4;

/** Not the engine, or not its protocol. The connection is of no use. */
export class PreambleError extends Error {
  override readonly name = 'PreambleError';
}

export interface PreambleReader {
  /** Undefined while more bytes are needed; throws a PreambleError. */
  push(chunk: Buffer): { readonly preamble: Preamble | DecisionsPreamble; readonly rest: Buffer } | undefined;
}

export function createPreambleReader(nonce: string): PreambleReader {
  let chunks: Buffer[] = [];
  let received = 0;
  let length: number | undefined;

  return {
    push(chunk) {
      chunks.push(chunk);
      received += chunk.length;
      if (length === undefined) {
        if (received < LENGTH_BYTES) return undefined;
        chunks = [Buffer.concat(chunks)];
        length = chunks[0]?.readUInt32BE(0) ?? 0;
        if (length > MAX_PREAMBLE) throw new PreambleError(`a preamble of ${length} bytes, more than ${MAX_PREAMBLE}`);
      }
      if (received < LENGTH_BYTES + length) return undefined;
      const bytes = Buffer.concat(chunks);
      const end = LENGTH_BYTES + length;
      return { preamble: parse(bytes.subarray(LENGTH_BYTES, end), nonce), rest: bytes.subarray(end) };
    },
  };
}

const either = z.union([decisionsPreamble, preambleMessage]);

function parse(bytes: Buffer, nonce: string): Preamble | DecisionsPreamble {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new PreambleError('a preamble that is no JSON');
  }
  const { data } = either.safeParse(json);
  if (!data) throw new PreambleError('a preamble that is not of the protocol');
  if (!isSame(data.nonce, nonce)) throw new PreambleError('a preamble with a wrong nonce');
  return data;
}

/** Hashed first, so that neither content nor length shows in the time it takes. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
