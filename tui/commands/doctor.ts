/**
 * `tka doctor`: looks at everything that a login needs, and says what is wrong with its remedy. It changes nothing. All
 * checks run at once, and are told in their order, each as soon as those before it are.
 */
import { styleText } from 'node:util';
import { examine, type Finding } from '../doctor/check.ts';
import { gatherFacts } from '../doctor/facts.ts';
import { checks } from '../doctor/index.ts';
import { type ExitCode, exitCodes } from '../errors.ts';
import type { DoctorFlags } from '../flags.ts';
import { createWords, widthOf, wrapWords } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { createTheme, type Theme } from '../terminal/theme.ts';

export async function doctor(runtime: Runtime, flags: DoctorFlags): Promise<ExitCode> {
  const theme = createTheme(runtime, flags.theme);
  const facts = gatherFacts(runtime, flags);
  const findings: Finding[] = [];
  try {
    const running = checks.map((check) => examine(check, facts));
    // All are waited for below, one after the other; a fault in one is not to end the process before that.
    for (const one of running) one.catch(() => {});
    for (const [index, one] of running.entries()) {
      const finding = await one;
      findings.push(finding);
      if (flags.output === undefined) runtime.stdout.write(render(checks[index]?.name ?? '', finding, theme, runtime));
    }
  } finally {
    facts.close();
  }
  runtime.signal.throwIfAborted();
  const failures = findings.filter(({ state }) => state === 'failed').length;
  if (flags.output === undefined) {
    const warnings = findings.filter(({ state }) => state === 'warning').length;
    const counted = [
      `${failures} failed`,
      ...(warnings > 0 ? [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`] : []),
    ];
    createWords(runtime, flags.quiet === true).say(`${counted.join(', ')}.`);
  } else {
    const { writeData } = await import('../terminal/structured-output.ts');
    const rows = findings.map((finding, index) => ({
      name: checks[index]?.name ?? '',
      state: finding.state,
      finding: finding.finding,
      ...('remedy' in finding ? { remedy: finding.remedy } : {}),
    }));
    await writeData(
      runtime,
      flags.output,
      { healthy: failures === 0, checks: rows },
      checks.map(({ name }) => name),
    );
  }
  return exitCodeOf(findings);
}

/** That nothing can be reached says more than that something is denied, and that more than any other failure. */
function exitCodeOf(findings: readonly Finding[]): ExitCode {
  const codes = new Set(
    findings.flatMap((finding) => (finding.state === 'failed' ? [finding.exitCode ?? exitCodes.error] : [])),
  );
  return [exitCodes.unreachable, exitCodes.denied, exitCodes.error].find((code) => codes.has(code)) ?? exitCodes.ok;
}

function render(name: string, finding: Finding, { glyphs, styles }: Theme, runtime: Runtime): string {
  const { state } = finding;
  const marks = { ok: glyphs.tick, warning: glyphs.warning, failed: glyphs.cross, skipped: '-' };
  const colours = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const;
  const word = `${marks[state]} ${state.padEnd(nameAt - 2)}`;
  const isColoured = runtime.stdout.isTTY === true && styles.ok.color !== undefined;
  // styleText would ask another stream than the one that is written to.
  const shown = isColoured ? styleText(colours[state], word, { validateStream: false }) : word;
  const remedy = 'remedy' in finding ? finding.remedy : [];
  // Too narrow for a column of words, the terminal breaks the lines.
  const room = widthOf(runtime.stdout) - findingAt;
  const fit = (line: string): readonly string[] => (room < narrowest ? [line] : wrapWords(line, room));
  const [first = '', ...rest] = [...fit(finding.finding), ...remedy.flatMap(fit)];
  const lines = rest.map((line) => `${' '.repeat(findingAt)}${line}\n`);
  return `${shown}${name.padEnd(findingAt - nameAt)}${first}\n${lines.join('')}`;
}

/** Columns. */
const nameAt = 10;
const findingAt = 25;
const narrowest = 30;
