import test from 'ava';
import * as fc from 'fast-check';
import { createLineReader, LineTooLongError } from './lines.ts';

test('lines arrive whole, however their bytes do', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 20 })),
      fc.integer({ min: 1, max: 9 }),
      (texts, size) => {
        const expected = texts.map((text) => text.replaceAll('\n', ' '));
        const bytes = Buffer.from(expected.map((text) => `${text}\n`).join('') + 'no end');
        const lines: string[] = [];
        const reader = createLineReader(1000, (line) => lines.push(line));
        for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
        t.deepEqual(lines, expected);
      },
    ),
  );
});

for (const [title, chunks] of [
  ['in one piece', [`${'x'.repeat(11)}\n`]],
  ['in several', ['x'.repeat(6), `${'x'.repeat(5)}\n`]],
  ['that does not end', ['x'.repeat(6), 'x'.repeat(5)]],
] as const) {
  test(`a line that is too long is an error, ${title}`, (t) => {
    const reader = createLineReader(10, () => t.fail());
    t.throws(() => chunks.forEach((chunk) => reader.push(Buffer.from(chunk))), { instanceOf: LineTooLongError });
  });
}
