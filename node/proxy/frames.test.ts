import test from 'ava';
import * as fc from 'fast-check';
import { FrameBoundary, serverFrame } from './frames.ts';
import { lastFrame } from './spdy.ts';

test('frames of every length, cut anywhere, end where they end', (t) => {
  const frame = fc
    .tuple(fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536), fc.boolean())
    .map(([length, isMasked]) => wholeFrame(length, isMasked));
  fc.assert(
    fc.property(
      fc.array(frame, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(200_000), { maxLength: 6 }),
      (frames, cuts) => {
        const bytes = Buffer.concat(frames);
        const ends = new Set<number>([0]);
        let at = 0;
        for (const one of frames) ends.add((at += one.length));
        const boundary = new FrameBoundary('websocket');
        let passed = 0;
        for (const cut of [...cuts.map((c) => c % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)) {
          boundary.push(bytes.subarray(passed, cut));
          passed = Math.max(passed, cut);
          t.is(boundary.isAtBoundary, ends.has(passed));
        }
      },
    ),
    { numRuns: 300 },
  );
});

for (const length of [0, 10, 125, 126, 60_000]) {
  test(`a frame of ours with ${length} bytes is one whole frame`, (t) => {
    const boundary = new FrameBoundary('websocket');
    const frame = serverFrame('binary', Buffer.alloc(length));
    boundary.push(frame.subarray(0, -1));
    t.false(boundary.isAtBoundary);
    boundary.push(frame.subarray(-1));
    t.true(boundary.isAtBoundary);
  });
}

function wholeFrame(length: number, isMasked: boolean): Buffer {
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x82;
  head[1] = (length < 126 ? length : length < 65_536 ? 126 : 127) | (isMasked ? 0x80 : 0);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, Buffer.alloc((isMasked ? 4 : 0) + length)]);
}

test('SPDY frames, cut anywhere, end where they end', (t) => {
  const lengths = fc.array(fc.constantFrom(0, 1, 255, 256, 70_000), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(lengths, fc.array(fc.nat(200_000), { maxLength: 6 }), (each, cuts) => {
      const bytes = Buffer.concat(each.map((length) => lastFrame(1, Buffer.alloc(length, 0xff))));
      const ends = new Set<number>([0]);
      let at = 0;
      for (const length of each) ends.add((at += 8 + length));
      const boundary = new FrameBoundary('SPDY/3.1');
      let passed = 0;
      for (const cut of [...cuts.map((c) => c % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)) {
        boundary.push(bytes.subarray(passed, cut));
        passed = Math.max(passed, cut);
        t.is(boundary.isAtBoundary, ends.has(passed));
      }
    }),
    { numRuns: 100 },
  );
});
