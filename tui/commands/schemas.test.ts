/** What `-o json` prints is what docs/schemas says, and `-o name` names sessions; with the real command. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import anyTest, { type ExecutionContext } from 'ava';
import { calls, prepare, session } from '../testing/command.ts';

// One child at a time: many at once are slow enough to run into the command's own time-outs.
const test = anyTest.serial;
const { setup, remove } = await prepare();
test.after.always(remove);

const directory = fileURLToPath(new URL('../../docs/schemas/', import.meta.url));
// `properties` beside a `$ref` leave their `type` to it.
const ajv = new Ajv2020({ allErrors: true, strictTypes: false });
addFormats.default(ajv);
for (const file of readdirSync(directory))
  ajv.addSchema(JSON.parse(readFileSync(`${directory}${file}`, 'utf8')) as object);

function conforms(t: ExecutionContext, name: string, text: string): void {
  const isValid = ajv.validate(`${name}.json`, JSON.parse(text));
  t.true(isValid, `${ajv.errorsText()}\n${text}`);
}

test('each command prints what its schema says', async (t) => {
  const { stub, cli } = await setup(t);
  const data = async (...args: string[]): Promise<string> => (await cli.run([...args, '-o', 'json'])).stdout;
  conforms(t, 'login', await data('login', '--server', stub.url));
  conforms(t, 'renew', await data('renew'));
  conforms(t, 'status', await data('status'));
  conforms(t, 'status', await data('status', '--all'));
  conforms(t, 'status', await data('status', '--session', session));
  conforms(t, 'whoami', await data('whoami', '--server', stub.url));
  conforms(t, 'use', await data('use', session));
  conforms(t, 'logout', await data('logout', '--session', session));
  conforms(t, 'login', await data('login', '--server', stub.url));
  conforms(t, 'logout', await data('logout', '--all'));
});

test('a server that is away is in the data, by the same schema', async (t) => {
  const { stub, cli } = await setup(t);
  await cli.run(['login', '--server', stub.url]);
  stub.answer(calls.sessions, (_, response) => void response.socket?.destroy());
  conforms(t, 'status', (await cli.run(['status', '-o', 'json', '--timeout', '2s'])).stdout);
});

test('-o name prints the session: login, renew, status, use, logout', async (t) => {
  const { stub, cli } = await setup(t);
  for (const args of [['login', '--server', stub.url], ['renew'], ['status'], ['use', 'tka-prod-view'], ['logout']]) {
    t.is((await cli.run([...args, '-o', 'name'])).stdout, `${session}\n`, args[0]);
  }
});

test('a schema refuses what no command prints', (t) => {
  t.false(
    ajv.validate('session.json', { server: 'http://tka', session: 'a', state: 'gone', contexts: [], current: false }),
  );
  t.false(ajv.validate('status.json', { sessions: [], servers: [], more: 1 }));
});
