import test from 'ava';
import { createLog } from './log.ts';

test('what is named like a secret is masked, up to two levels down', (t) => {
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
