/**
 * Reads a JSON body strictly: at most 16 KiB of UTF-8, only `application/json`, an object that fits its schema. An absent body needs
 * no type and reads as an empty object: released clients send their POSTs that way.
 */
import type { IncomingMessage } from 'node:http';
import type * as z from 'zod';
import { ApiError } from './errors.ts';
import { printable } from './subject.ts';

const maxBodyBytes = 16_384;
/** The caller's grants were checked before the body, which must not come much later. */
const maxBodyMs = 5000;

export async function readBody<T extends z.ZodType>(req: IncomingMessage, schema: T): Promise<z.infer<T>> {
  const bytes = await readBytes(req);
  if (bytes.length === 0) return accept(schema, {});

  // A form or plain text needs no preflight from a browser; JSON does, and none is answered.
  if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i.test(req.headers['content-type'] ?? '')) {
    throw new ApiError(415, 'bad_request', 'a request body must be of type application/json');
  }
  if ((req.headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new ApiError(415, 'bad_request', 'a request body must not be compressed');
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new ApiError(400, 'bad_request', 'the request body is not JSON', { cause: error });
  }
  return accept(schema, value);
}

async function readBytes(req: IncomingMessage): Promise<Buffer> {
  const tooLarge = () =>
    new ApiError(413, 'bad_request', `the request body is larger than ${maxBodyBytes} bytes`, {
      // The rest of the body is still on its way: this connection cannot be used again.
      headers: { Connection: 'close' },
    });
  const tooSlow = () =>
    new ApiError(408, 'bad_request', 'the request body took too long', { headers: { Connection: 'close' } });
  if (Number(req.headers['content-length'] ?? 0) > maxBodyBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  // `for await` would destroy the socket on leaving early, and the answer with it.
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve, reject) => {
    timer = setTimeout(() => reject(tooSlow()), maxBodyMs);
    req.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBodyBytes) {
        req.pause();
        reject(tooLarge());
      } else chunks.push(chunk);
    });
    req.once('end', resolve);
    req.once('error', reject);
    req.once('close', () => reject(new ApiError(400, 'bad_request', 'the request ended before its body')));
  }).finally(() => clearTimeout(timer));
  return Buffer.concat(chunks);
}

function accept<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => {
    const at = issue.path.join('.');
    return printable(at === '' ? issue.message : `${at}: ${issue.message}`, 200);
  });
  throw new ApiError(400, 'bad_request', 'invalid request body', { advice: issues.slice(0, 5) });
}
