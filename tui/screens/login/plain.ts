/**
 * A login in plain lines, each written once: for terminals that cannot move their cursor. Resolves when the login has ended
 * and everything is written.
 */
import type { Runtime } from '../../runtime.ts';
import type { Theme } from '../../terminal/theme.ts';
import type { LoginProgress, LoginRun, StageProgress } from './run.ts';
import { formatTook, reasonOf, stageTitles, summaryOf } from './words.ts';

export async function followLogin(
  run: LoginRun,
  { stderr, now }: Pick<Runtime, 'stderr' | 'now'>,
  { glyphs }: Theme,
): Promise<void> {
  const written = new Set<string>();
  const say = (key: string, line: string): void => {
    if (written.has(key)) return;
    written.add(key);
    stderr.write(`${line}\n`);
  };
  const write = ({ stages, warnings, outcome }: LoginProgress): void => {
    for (const stage of stages) {
      if (stage.state !== 'waiting' && stage.state !== 'running') say(stage.stage, stageLine(stage, glyphs));
    }
    warnings.forEach((warning) => say(`warning ${warning}`, `warning: ${warning}`));
    if (outcome?.kind === 'logged-in') {
      const rows = summaryOf(outcome.session, now()).map(([label, value]) => `  ${label.padEnd(9)}${value}`);
      say('outcome', ['', 'Logged in.', ...rows].join('\n'));
    } else if (outcome?.kind === 'failed') {
      const reason = reasonOf(outcome.error);
      if (reason === undefined) return;
      say('outcome', ['', `error: ${reason.message}`, ...reason.advice.map((line) => `  ${line}`)].join('\n'));
    }
  };
  const unsubscribe = run.subscribe(() => write(run.snapshot()));
  write(run.snapshot());
  await run.result.catch(() => undefined);
  unsubscribe();
}

function stageLine({ stage, state, detail, tookMs }: StageProgress, glyphs: Theme['glyphs']): string {
  const glyph = state === 'done' ? glyphs.tick : glyphs.cross;
  const took = tookMs === undefined ? '' : ` (${formatTook(tookMs)})`;
  const found = state === 'done' ? detail : state;
  return `${glyph} ${stageTitles[stage]}${took}${found === undefined || found === '' ? '' : `: ${found}`}`;
}
