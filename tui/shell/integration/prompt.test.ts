import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { bash } from './bash.ts';
import { fish } from './fish.ts';
import { powershell } from './powershell.ts';
import { withShell, runShellCode } from '../../testing/real-shell.ts';
import { zsh } from './zsh.ts';

const integrations = { bash, zsh, fish };
const session = { TKA_SESSION: 'alice-view', TKA_CLUSTER: 'demo', TKA_ROLE: 'view' };
const seconds = (): number => Math.floor(Date.now() / 1000);

function place(t: ExecutionContext): (name: string, content: string) => string {
  const directory = mkdtempSync(join(tmpdir(), 'tka-prompt-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return (name, content) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  };
}

// With half a minute more than the text says, so that a slow machine says the same.
const cases: readonly [string, (now: number) => string, string][] = [
  ['hours', (now) => `${now + 8 * 3600 + 5 * 60 + 30} view demo\n`, '⎈ demo/view 8h05m'],
  ['minutes', (now) => `${now + 42 * 60 + 30} view demo\n`, '⎈ demo/view 42m'],
  ['less than ten minutes, which is marked', (now) => `${now + 5 * 60 + 30} view demo`, '⎈ demo/view 5m⚠'],
  ['the end is past', (now) => `${now - 1} view demo\n`, '⎈ demo/view ended'],
  ['what the file says after a renewal', (now) => `${now + 3630} edit other\n`, '⎈ other/edit 1h00m'],
  ['a role of the system', (now) => `${now + 3630} system:basic-user demo\n`, '⎈ demo/system:basic-user 1h00m'],
  ['names that would be orders', (now) => `${now + 3630} $(echo-no) \\u%F{red}\u001B[2J\n`, '⎈ ?/? 1h00m'],
  ['no number', () => 'a[$(no)] view demo\n', '⎈ demo/view ended'],
  ['a number that is too long', () => '99999999999999999999 view demo\n', '⎈ demo/view ended'],
  ['a number with zeros before it', (now) => `0${now + 3630} view demo\n`, '⎈ demo/view 1h00m'],
  ['an empty file', () => '', '⎈ / ended'],
];

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  /** PATH leads to nothing while the prompt is made, so that a program that it started would be missed; fish has its `date`. */
  const prompt = async (t: ExecutionContext, env: Readonly<Record<string, string>>, argument = ''): Promise<string> => {
    const write = place(t);
    const file = write('integration', integrations[shell]);
    const empty = join(file, '..', 'bin');
    mkdirSync(empty);
    if (shell === 'fish') symlinkSync('/bin/date', join(empty, 'date'));
    const path = shell === 'fish' ? `set -gx PATH ${empty}` : `PATH=${empty}`;
    const { stdout, stderr } = await runShellCode(shell, `source ${file}; ${path}; tka_prompt ${argument}`, env);
    t.is(stderr, '');
    return stdout;
  };

  for (const [title, content, expected] of cases) {
    withShell(test, shell)(`${shell}'s prompt, starting no program: ${title}`, async (t) => {
      const file = place(t)('x.until', content(seconds()));
      t.is(await prompt(t, { ...session, TKA_UNTIL_FILE: file }), expected);
    });
  }

  withShell(test, shell)(`${shell}'s prompt counts the last minute in seconds`, async (t) => {
    const file = place(t)('x.until', `${seconds() + 50} view demo\n`);
    t.regex(await prompt(t, { ...session, TKA_UNTIL_FILE: file }), /^⎈ demo\/view [345]\ds⚠$/);
  });

  withShell(test, shell)(
    `${shell}'s prompt is empty without a session, and says that one has ended whose file is gone`,
    async (t) => {
      t.is(await prompt(t, {}, "' '"), '');
      const gone = place(t)('x.until', '');
      for (const path of [`${gone}.not`, join(gone, '..')]) {
        t.is(await prompt(t, { ...session, TKA_UNTIL_FILE: path }), '⎈ demo/view ended', path);
      }
      t.is(await prompt(t, session, "' '"), '⎈ demo/view ', 'an unknown end is not shown');
    },
  );

  withShell(test, shell)(`${shell}'s prompt has no signs that the terminal's character set lacks`, async (t) => {
    const file = place(t)('x.until', `${seconds() + 330} view demo\n`);
    t.is(await prompt(t, { ...session, TKA_UNTIL_FILE: file, LC_ALL: 'C' }, "' '"), 'demo/view 5m* ');
  });
}

withShell(test, 'bash')('bash before 4.2 has no clock: it counts from when the code was loaded', async (t) => {
  const write = place(t);
  const old = bash.replaceAll('BASH_VERSINFO[0]', '3').replaceAll('BASH_VERSINFO[1]', '2');
  const file = write('integration', old);
  const until = write('x.until', `${seconds() + 330} view demo\n`);
  const code = `. ${file}; PATH=; SECONDS=$((SECONDS + 60)); tka_prompt; declare -f __tka_now`;
  const { stdout, stderr } = await runShellCode('bash', code, { ...session, TKA_UNTIL_FILE: until });
  t.is(stderr, '');
  t.regex(stdout, /^⎈ demo\/view 4m⚠__tka_now/);
  t.regex(stdout, /SECONDS/);
});

withShell(test, 'powershell')('the code for PowerShell is one that it can read', async (t) => {
  const file = place(t)('integration.ps1', powershell);
  const { stdout, stderr } = await runShellCode(
    'powershell',
    `$problems = $null; [void][Management.Automation.Language.Parser]::ParseFile('${file}', [ref]$null, [ref]$problems); "$problems"`,
  );
  t.is(`${stdout}${stderr}`.trim(), '');
});
