/** `kubectl tka …`: the command under kubectl's names for plugins, run and completed by the kubectl that is on PATH. */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import anyTest from 'ava';
import { buildCli } from '../testing/cli.ts';

const test = anyTest.serial;
const run = promisify(execFile);
const directory = mkdtempSync(join(tmpdir(), 'tka-plugin-'));
const script = await buildCli(directory);
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const bin = join(directory, 'bin');
mkdirSync(bin);
chmodSync(script, 0o755);
for (const name of ['kubectl-tka', 'kubectl_complete-tka']) symlinkSync(script, join(bin, name));
const path = [bin, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
const env = { HOME: directory, PATH: path };
const hasKubectl = path.split(delimiter).some((one) => existsSync(join(one, 'kubectl')));
const [withKubectl, why] = hasKubectl ? [test, ''] : [test.skip, ': no kubectl on PATH'];

async function kubectl(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('kubectl', [...args], { env });
  return stdout;
}

withKubectl(`kubectl runs it, and its help says what to type${why}`, async (t) => {
  t.is(await kubectl('tka', 'version', '--client'), 'tka dev\n');
  t.regex(await kubectl('tka', 'login', '--help'), /^Usage: kubectl tka login \[options\]/);
});

withKubectl(`kubectl completes it${why}`, async (t) => {
  t.regex(await kubectl('__complete', 'tka', 'lo'), /^login\t.*\nlogout\t.*\n:4\n/);
  t.regex(await kubectl('__complete', 'tka', 'login', '--mode', 'd'), /^direct\b/);
});

test('to complete a command is not to run it', async (t) => {
  const { stdout } = await run(join(bin, 'kubectl_complete-tka'), ['version', '--cl'], { env });
  t.is(stdout, "--client\tonly the command's version\n--cluster\ta cluster that `tka clusters` lists\n:4\n");
});
