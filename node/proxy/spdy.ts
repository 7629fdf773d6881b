/**
 * As much of SPDY/3.1 as it takes to say a last word on an exec: which stream is the error stream, as the caller opened it, and
 * the frame that ends it. Kubernetes' clients open it first; where another comes first, nothing is said.
 *
 * Only the header block of that one stream is read. Data frames are not compressed, so one of ours fits between any two.
 */
import { constants, inflateSync } from 'node:zlib';

/** Reads what the caller sends until the first stream is open. */
export class ErrorStream {
  #pending: Buffer | undefined = Buffer.alloc(0);
  #id: number | undefined;

  /** Undefined while it is not open, and where the first stream is another. */
  get id(): number | undefined {
    return this.#id;
  }

  push(chunk: Buffer): void {
    if (this.#pending === undefined) return;
    let left = Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const length = left.length < headerBytes ? undefined : headerBytes + left.readUIntBE(5, 3);
      if (length === undefined || (length <= mostBytes && left.length < length)) {
        this.#pending = left;
        return;
      }
      const isFirst = left.readUInt16BE(0) === 0x8003 && left.readUInt16BE(2) === synStream;
      if (isFirst || length > mostBytes) {
        this.#pending = undefined;
        if (isFirst) this.#id = errorStreamIn(left.subarray(0, length));
        return;
      }
      left = left.subarray(length);
    }
  }
}

/** A data frame that is the last of its stream. */
export function lastFrame(stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(headerBytes);
  head.writeUInt32BE(stream & 0x7fffffff, 0);
  head.writeUInt8(finish, 4);
  head.writeUIntBE(payload.length, 5, 3);
  return Buffer.concat([head, payload]);
}

/** Bytes behind the header of a frame; undefined while that is not whole. */
export function spdyPayloadLength(header: Buffer, have: number): number | undefined {
  return have < headerBytes ? undefined : header.readUIntBE(5, 3);
}

const headerBytes = 8;
const synStream = 1;
const finish = 0x01;
/** More than a client says of a stream. */
const mostBytes = 16 * 1024;

function errorStreamIn(frame: Buffer): number | undefined {
  try {
    const block = inflateSync(frame.subarray(headerBytes + 10), {
      dictionary,
      // What follows in the same compressed stream is not here yet.
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: mostBytes,
    });
    const id = frame.readUInt32BE(headerBytes) & 0x7fffffff;
    return headersIn(block).get('streamtype') === 'error' ? id : undefined;
  } catch {
    return undefined;
  }
}

/** Throws where it is none. */
function headersIn(block: Buffer): ReadonlyMap<string, string> {
  let at = 4;
  const next = (): string => {
    const start = at + 4;
    at = start + block.readUInt32BE(at);
    return block.toString('latin1', start, at);
  };
  return new Map(Array.from({ length: Math.min(block.readUInt32BE(0), 100) }, () => [next(), next()]));
}

/** What both sides take as read when they compress headers (SPDY/3, 2.6.10.1): words behind their lengths, then text. */
const dictionary = Buffer.concat([
  ...(
    'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
    'authorization cache-control connection content-base content-encoding content-language content-length content-location ' +
    'content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match ' +
    'if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range ' +
    'referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get ' +
    'status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin'
  )
    .split(' ')
    .map((word) => Buffer.from(`\0\0\0${String.fromCharCode(word.length)}${word.replace('_', ' ')}`, 'latin1')),
  Buffer.from(
    '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
      '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden' +
      '404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
      'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
      'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,public' +
      'privatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
    'latin1',
  ),
]);
