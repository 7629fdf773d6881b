/** Recordings that grow too long, and disks that are full or fail. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createFixture, until } from './fixture.ts';
import { begun, offers, output, setup, stream } from './testing/recordings.ts';

for (const fail of ['closed', 'open'] as const) {
  test(`a recording that reaches its bound: the stream ${fail === 'closed' ? 'ends' : 'continues'}, and it is said once`, async (t) => {
    const { recorder, directory, warnings, failures } = setup(t, fail, { maxBytes: 2000 });
    const tap = begun(recorder);
    const flood = (): void => {
      for (let i = 0; i < 100; i += 1) tap.toCaller(output(1, 'x'.repeat(100)));
    };
    if (fail === 'closed') t.throws(flood, { message: /recording\.maxMegabytes/ });
    else t.notThrows(flood);
    tap.end();
    const [name = ''] = readdirSync(directory);
    await until(() => statSync(join(directory, name)).size > 1500);
    t.true(statSync(join(directory, name)).size <= 2000);
    t.deepEqual([warnings, failures], [['a recording has failed'], ['too_large']]);
  });
}

test('a disk that is full refuses a command before it runs, and leaves no empty file', (t) => {
  const full = { createFile: (path: string) => (writeFileSync(path, ''), openSync('/dev/full', 'w')) };
  const closed = setup(t, 'closed', full);
  t.throws(() => closed.recorder.begin(stream, offers()), { message: /the server cannot write the recording/ });
  t.deepEqual([closed.failures, readdirSync(closed.directory)], [['disk_full'], []]);
  const open = setup(t, 'open', full);
  t.is(open.recorder.begin(stream, offers()), undefined);
  t.deepEqual([open.warnings, open.failures], [['a stream is not recorded'], ['disk_full']]);
});

test('a disk that fails while a stream is open ends it at once, although nothing passes any more', async (t) => {
  let reader = 0;
  const { recorder, failures } = setup(t, 'closed', {
    createFile(path) {
      execFileSync('mkfifo', [path]);
      reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      return openSync(path, 'w');
    },
  });
  const opened = Promise.withResolvers<Duplex>();
  await using at = await createFixture({
    apiServer: {
      upgrade(_req, socket) {
        socket.on('error', () => undefined);
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n',
        );
        opened.resolve(socket);
      },
    },
    deps: { recorder },
  });
  const wire = await at.dial(
    'alice',
    `${at.head('GET', '/k8s/api/v1/namespaces/a/pods/b/exec?command=sh', 'alice')}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n`,
  );
  const far = await opened.promise;
  closeSync(reader);
  far.write(output(1, 'hello'));
  t.regex(await wire.closed, /it could not be recorded any more/);
  await until(() => at.proxy.open === 0 && at.upstream[0]?.isClosed === true);
  t.deepEqual(failures, ['unwritable']);
});
