/**
 * The messages in one direction of a websocket (RFC 6455), as their bytes arrive: for a recording, which reads what passes and
 * changes nothing. Control frames are left out; a message in several frames is told piece by piece.
 */
import type { Buffer as Bytes } from 'node:buffer';

export interface MessagePiece {
  /** The first piece of its message. */
  readonly isFirst: boolean;
  readonly payload: Bytes;
}

export class MessageReader {
  readonly #onPiece: (piece: MessagePiece) => void;
  readonly #header = Buffer.alloc(14);
  #have = 0;
  #frame: Frame | undefined;
  #isMessageStart = true;

  constructor(onPiece: (piece: MessagePiece) => void) {
    this.#onPiece = onPiece;
  }

  /** Throws where the bytes are no frames that can be read. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length || this.#frame?.left === 0) {
      if (this.#frame === undefined) {
        this.#header[this.#have] = chunk[at] ?? 0;
        this.#have += 1;
        at += 1;
        this.#frame = frameIn(this.#header, this.#have);
        if (this.#frame !== undefined) this.#have = 0;
        continue;
      }
      const frame = this.#frame;
      const piece = chunk.subarray(at, at + frame.left);
      at += piece.length;
      this.#pass(frame, piece);
      frame.left -= piece.length;
      frame.passed += piece.length;
      if (frame.left > 0) continue;
      this.#frame = undefined;
      if (frame.isData && frame.isLast) this.#isMessageStart = true;
    }
  }

  #pass(frame: Frame, piece: Buffer): void {
    if (!frame.isData || piece.length === 0) return;
    const payload = frame.mask === undefined ? piece : unmasked(piece, frame.mask, frame.passed);
    this.#onPiece({ isFirst: this.#isMessageStart, payload });
    this.#isMessageStart = false;
  }
}

interface Frame {
  readonly isData: boolean;
  readonly isLast: boolean;
  readonly mask: Buffer | undefined;
  left: number;
  passed: number;
}

/** Undefined while the header is not whole. */
function frameIn(header: Buffer, have: number): Frame | undefined {
  if (have < 2) return undefined;
  const [first = 0, second = 0] = header;
  // An extension has changed what a payload is; none was offered.
  if ((first & 0x70) !== 0) throw new RangeError('a websocket frame of an extension');
  const short = second & 0x7f;
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const hasMask = (second & 0x80) !== 0;
  const length = 2 + extended + (hasMask ? 4 : 0);
  if (have < length) return undefined;
  const left = extended === 0 ? short : extended === 2 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2));
  return {
    isData: (first & 0x08) === 0,
    isLast: (first & 0x80) !== 0,
    mask: hasMask ? Buffer.from(header.subarray(length - 4, length)) : undefined,
    left,
    passed: 0,
  };
}

function unmasked(piece: Buffer, mask: Buffer, offset: number): Buffer {
  const out = Buffer.from(piece);
  for (let i = 0; i < out.length; i += 1) out[i] = (out[i] ?? 0) ^ (mask[(offset + i) & 3] ?? 0);
  return out;
}
