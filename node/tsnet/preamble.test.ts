import test from 'ava';
import * as fc from 'fast-check';
import { createPreambleReader, MAX_PREAMBLE, PreambleError } from './preamble.ts';
import type { Preamble } from './protocol.ts';

const NONCE = 'f00d'.repeat(16);
const PREAMBLE: Preamble = {
  nonce: NONCE,
  listener: '1',
  source: { address: '100.64.0.1', port: 4711 },
  destination: { address: '100.64.0.2', port: 80 },
  tls: false,
  identity: {
    nodeId: 'n1',
    nodeKey: 'nodekey:1',
    nodeName: 'laptop.tail.test',
    user: { id: '7', loginName: 'älice@example.com', displayName: 'Älice' },
    tags: [],
    capabilities: { 'example.com/cap': ['{"role":"view","role":"admin"}'] },
  },
};

function encode(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

test('gives the preamble and every byte after it, however the bytes are cut', (t) => {
  const rest = Buffer.from('GET / HTTP/1.1\r\nHost: tka\r\n\r\n');
  const bytes = Buffer.concat([encode(JSON.stringify(PREAMBLE)), rest]);
  fc.assert(
    fc.property(fc.array(fc.nat({ max: bytes.length })), (cuts) => {
      const reader = createPreambleReader(NONCE);
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      let result: ReturnType<typeof reader.push>;
      const after: Buffer[] = [];
      at.slice(1).forEach((end, i) => {
        const chunk = bytes.subarray(at[i], end);
        if (result) after.push(chunk);
        else if ((result = reader.push(chunk))) after.push(result.rest);
      });
      t.deepEqual(result?.preamble, PREAMBLE);
      t.deepEqual(Buffer.concat(after), rest);
    }),
  );
});

const SECRET = 'not-to-be-repeated';
for (const [title, bytes] of [
  ['a wrong nonce', encode(JSON.stringify({ ...PREAMBLE, nonce: SECRET }))],
  ['no nonce', encode(JSON.stringify({ ...PREAMBLE, nonce: undefined }))],
  ['an empty nonce', encode(JSON.stringify({ ...PREAMBLE, nonce: '' }))],
  ['no JSON', encode(`{"${SECRET}`)],
  ['nothing', encode('')],
  ['an unknown refusal', encode(JSON.stringify({ ...PREAMBLE, identity: { ...PREAMBLE.identity, refusal: SECRET } }))],
  ['plain HTTP', Buffer.from(`GET /${SECRET} HTTP/1.1\r\n\r\n`)],
] as const) {
  test(`${title} is refused without repeating it`, (t) => {
    const error = t.throws(() => createPreambleReader(NONCE).push(bytes), { instanceOf: PreambleError });
    t.false(error?.message.includes(SECRET));
  });
}

test('one that is too large is refused before it is read', (t) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(MAX_PREAMBLE + 1);
  t.throws(() => createPreambleReader(NONCE).push(length), { instanceOf: PreambleError });
  length.writeUInt32BE(MAX_PREAMBLE);
  t.is(createPreambleReader(NONCE).push(length), undefined);
});
