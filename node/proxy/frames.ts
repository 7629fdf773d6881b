/**
 * Where one frame ends and the next begins, of a websocket (RFC 6455, 5.2) or of SPDY/3.1, for whoever wants to put a frame of
 * his own between two. Payloads are skipped, not read.
 */
import { spdyPayloadLength } from './spdy.ts';

export class FrameBoundary {
  readonly #lengthOf: (header: Buffer, have: number) => number | undefined;
  #header = Buffer.alloc(14);
  #have = 0;
  #payloadLeft = 0;

  constructor(protocol: 'websocket' | 'SPDY/3.1') {
    this.#lengthOf = protocol === 'websocket' ? payloadLength : spdyPayloadLength;
  }

  /** Whether a whole number of frames has passed. */
  get isAtBoundary(): boolean {
    return this.#have === 0 && this.#payloadLeft === 0;
  }

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const skipped = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= skipped;
        at += skipped;
        continue;
      }
      this.#header[this.#have] = chunk[at] ?? 0;
      this.#have += 1;
      at += 1;
      const length = this.#lengthOf(this.#header, this.#have);
      if (length !== undefined) {
        this.#payloadLeft = length;
        this.#have = 0;
      }
    }
  }
}

/** Undefined while the header is not whole. */
function payloadLength(header: Buffer, have: number): number | undefined {
  if (have < 2) return undefined;
  const second = header[1] ?? 0;
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const mask = (second & 0x80) === 0 ? 0 : 4;
  if (have < 2 + extended + mask) return undefined;
  if (extended === 0) return short;
  return extended === 2 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2));
}

/** A whole, unmasked frame, as servers send them; `payload` of less than 64 KiB. */
export function serverFrame(opcode: 'binary' | 'close', payload: Buffer): Buffer {
  const first = 0x80 | { binary: 0x2, close: 0x8 }[opcode];
  const head =
    payload.length < 126
      ? Buffer.from([first, payload.length])
      : Buffer.from([first, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}
