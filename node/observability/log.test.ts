import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { createLog, withoutMasking } from './log.ts';

test('a field with the name of a secret is masked, up to two levels deep', (t) => {
  let text = '';
  const log = createLog('info', { write: (line: string) => (text += line) });
  log.info(
    { token: 'S', user: { token: 'S', name: 'alice' }, request: { headers: { authorization: 'S' } }, authKey: 'S' },
    'hello',
  );
  t.notRegex(text, /"S"/);
  t.regex(text, /alice/);
  t.is(text.split('\n').length, 2);
  t.is((JSON.parse(text) as { level: string }).level, 'info');
});

const module = new URL('log.ts', import.meta.url).href;

function run(script: string) {
  const source = `import { createLog } from ${JSON.stringify(module)}; const log = createLog('info'); ${script}`;
  return spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
}

test('lines that are left when the process ends are written, in order', async (t) => {
  const out = await text(
    run("for (let i = 0; i < 1000; i += 1) log.info({ i }, 'x'.repeat(100)); process.exit()").stdout,
  );
  const lines = out.trimEnd().split('\n');
  t.deepEqual(
    lines.map((line) => (JSON.parse(line) as { i: number }).i),
    Array.from({ length: 1000 }, (_, i) => i),
  );
});

test('repeated warnings that are not written yet are written when the process ends', async (t) => {
  const out = await text(run("for (let i = 0; i < 10; i += 1) log.warn({ i }, 'again'); process.exit()").stdout);
  const lines = out.trimEnd().split('\n');
  t.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown).map((line) => (line as { repeated?: number }).repeated),
    [undefined, 9],
  );
});

test('a line is written though nothing follows it', async (t) => {
  const child = run("log.info('alone'); setInterval(() => {}, 1000)");
  t.teardown(() => child.kill());
  for await (const chunk of child.stdout) {
    t.regex(String(chunk), /"msg":"alone"/);
    return;
  }
  t.fail('it ended');
});

test('each line has its time, to the millisecond', (t) => {
  const times: string[] = [];
  const log = createLog('info', { write: (line: string) => times.push((JSON.parse(line) as { time: string }).time) });
  const before = new Date().toISOString();
  for (let i = 0; i < 50; i += 1) log.info('x');
  const after = new Date().toISOString();
  for (const time of times) {
    t.is(new Date(time).toISOString(), time);
    t.true(before <= time && time <= after);
  }
});

const hidden = [
  0x7f, 0x80, 0x85, 0x9b, 0x9f, 0xad, 0x61c, 0x180e, 0x200b, 0x200d, 0x200e, 0x2028, 0x2029, 0x202e, 0x2060,
];
for (const code of [...hidden, 0x2066, 0x2069, 0xfeff, 0xfff9, 0xe0001, 0xe0041]) {
  const character = String.fromCodePoint(code);
  test(`U+${code.toString(16).toUpperCase()} in a logged string is written as an escape, at any level`, (t) => {
    let text = '';
    const log = createLog('info', { write: (line: string) => (text += line) });
    const name = `a${character}b`;
    log.child({ from: name }).warn({ path: name, nested: { list: [name] }, [name]: 1, err: new Error(name) }, name);
    withoutMasking(log).info({ path: name }, name);
    t.false(text.includes(character));
    const [line, unmasked] = text
      .trimEnd()
      .split('\n')
      .map((json) => JSON.parse(json) as Record<string, unknown>);
    t.like(line, { from: name, path: name, nested: { list: [name] }, [name]: 1, msg: name });
    t.like(unmasked, { path: name, msg: name });
  });
}

test('letters of any script are written as they are', (t) => {
  let text = '';
  const log = createLog('info', { write: (line: string) => (text += line) });
  log.info('Zoë Müller 山田 عربي 🦀');
  t.regex(text, /Zoë Müller 山田 عربي 🦀/);
});
