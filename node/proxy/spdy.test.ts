import test from 'ava';
import * as fc from 'fast-check';
import { openings } from './fixture-upgrades.ts';
import { ErrorStream, lastFrame } from './spdy.ts';

/** The stream that is found in the bytes, which come in pieces. */
function found(bytes: Buffer, cuts: readonly number[] = []): number | undefined {
  const stream = new ErrorStream();
  let passed = 0;
  for (const cut of [...cuts.map((c) => c % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)) {
    stream.push(bytes.subarray(passed, cut));
    passed = Math.max(passed, cut);
  }
  return stream.id;
}

test('the error stream that a client of Kubernetes opens first is found, wherever its bytes are cut', (t) => {
  const bytes = Buffer.concat([openings.settings, openings.errorThenStdin, Buffer.alloc(100, 0xff)]);
  fc.assert(fc.property(fc.array(fc.nat(200), { maxLength: 5 }), (cuts) => t.is(found(bytes, cuts), 1)));
});

test('it is not known before its frame is whole', (t) => {
  t.is(found(openings.errorThenStdin.subarray(0, 48)), undefined);
  t.is(found(openings.errorThenStdin.subarray(0, 49)), 1);
});

for (const [title, bytes] of Object.entries({
  'another stream that comes first': Buffer.concat([openings.stdout, openings.errorThenStdin]),
  'a header block that cannot be read': Buffer.concat([openings.stdout.subarray(0, 20), Buffer.alloc(40, 7)]),
  'a header block that unpacks to more than anybody says': openings.endless,
  'a frame too large to be kept': Buffer.concat([
    Buffer.from([0, 0, 0, 1, 0, 0xff, 0xff, 0xff]),
    openings.errorThenStdin,
  ]),
  'another protocol': Buffer.from('GET / HTTP/1.1\r\n\r\n'.repeat(2000)),
})) {
  test(`${title} is taken for no error stream`, (t) => {
    t.is(found(bytes), undefined);
  });
}

test('bytes of any kind do no harm', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isControl) => {
      const start = isControl ? Buffer.from('8003000100', 'hex') : Buffer.alloc(0);
      t.notThrows(() => found(Buffer.concat([start, bytes])));
    }),
  );
});

test('a last frame names its stream, says that it is the last, and how long it is', (t) => {
  t.is(lastFrame(1, Buffer.from('why')).toString('hex'), `0000000101000003${Buffer.from('why').toString('hex')}`);
});
