import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { canRunNodes, findProgram } from './ability.ts';

test('a program is looked for where the system has its own, whatever npm puts on PATH', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'tka-path-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const impostor = join(dir, 'tka-impostor');
  writeFileSync(impostor, '');
  chmodSync(impostor, 0o755);
  t.is(findProgram('tka-impostor', `/nowhere:${dir}`), impostor);
  const { PATH } = process.env;
  t.teardown(() => (process.env['PATH'] = PATH));
  process.env['PATH'] = dir;
  t.is(findProgram('tka-impostor'), undefined);
});

test('a machine that cannot run nodes has a reason', (t) => {
  const ability = canRunNodes();
  t.log(ability);
  t.true(ability.ok || ability.reason !== '');
});
