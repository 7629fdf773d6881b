import test from 'ava';
import * as fc from 'fast-check';
import { MessageReader } from './messages.ts';

interface Frame {
  readonly opcode: number;
  readonly isLast: boolean;
  readonly payload: Buffer;
  readonly mask?: Buffer;
}

/** As RFC 6455, 5.2 has it; the long form of a length where it is asked for. */
function encode({ opcode, isLast, payload, mask }: Frame): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (isLast ? 0x80 : 0) | opcode;
  head[1] = (mask === undefined ? 0 : 0x80) | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  if (mask === undefined) return Buffer.concat([head, payload]);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))]);
}

/** Whole messages, as the reader tells them. */
function read(chunks: readonly Buffer[]): string[] {
  const messages: string[] = [];
  const reader = new MessageReader(({ isFirst, payload }) => {
    if (isFirst) messages.push('');
    messages.push(`${messages.pop() ?? 'no first piece: '}${payload.toString('latin1')}`);
  });
  for (const chunk of chunks) reader.push(chunk);
  return messages;
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

test('messages in any frames, masked or not, cut anywhere, are read as they were', (t) => {
  const control = fc.record({ opcode: fc.constantFrom(8, 9, 10), size: fc.nat(125) });
  const message = fc.record({
    payload: fc
      .tuple(fc.constantFrom(0, 1, 2, 125, 126, 127, 500, 65_535, 65_536), fc.nat(255))
      .map(([length, fill]) => Buffer.alloc(length, fill)),
    splits: fc.array(fc.nat(70_000), { maxLength: 3 }),
    control: fc.option(control),
    isMasked: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), fc.array(fc.nat(300_000), { maxLength: 8 }), (messages, cuts) => {
      const mask = { mask: Buffer.from([1, 2, 0xfe, 4]) };
      const bytes = messages.flatMap(({ payload, splits, control: between, isMasked }) => {
        // Empty frames first, last and in between are allowed.
        const parts = cutAt(payload, splits);
        if (parts.length === 0) parts.push(payload);
        parts.unshift(Buffer.alloc(0));
        return parts.flatMap((part, i) => [
          encode({ opcode: i === 0 ? 2 : 0, isLast: i === parts.length - 1, payload: part, ...(isMasked ? mask : {}) }),
          ...(between === null
            ? []
            : [encode({ opcode: between.opcode, isLast: true, payload: Buffer.alloc(between.size, 'c') })]),
        ]);
      });
      const expected = messages.map(({ payload }) => payload.toString('latin1')).filter((text) => text !== '');
      t.deepEqual(read(cutAt(Buffer.concat(bytes), cuts)), expected);
    }),
    { numRuns: 200 },
  );
});

test('every single byte may come alone', (t) => {
  const mask = Buffer.from([9, 8, 7, 6]);
  const bytes = Buffer.concat([
    encode({ opcode: 2, isLast: false, payload: Buffer.from('hel'), mask }),
    encode({ opcode: 9, isLast: true, payload: Buffer.from('ping'), mask }),
    encode({ opcode: 0, isLast: true, payload: Buffer.from('lo'), mask }),
    encode({ opcode: 1, isLast: true, payload: Buffer.alloc(0) }),
    encode({ opcode: 1, isLast: true, payload: Buffer.from('next') }),
  ]);
  t.deepEqual(read(Array.from(bytes, (byte) => Buffer.from([byte]))), ['hello', 'next']);
});

for (const bit of [0x40, 0x20, 0x10]) {
  test(`a frame of an extension (${bit}) cannot be read, and says so`, (t) => {
    t.throws(() => read([Buffer.from([0x82 | bit, 1, 0])]), { instanceOf: RangeError });
  });
}
