/**
 * `tka status --watch`. On a terminal the table is drawn over itself once a second, without flicker, and refreshed every
 * 10 s; elsewhere something is written only when it has changed: a line a session, or one document. Runs until the signal.
 */
import { isDumbTerminal } from '../terminal/dumb-terminal.ts';
import type { OutputForm } from '../flags.ts';
import type { Runtime } from '../runtime.ts';
import { asData, renderReports, type Reporter, type ServerReport, sessionNames } from './status-report.ts';

export interface WatchOptions {
  readonly reporter: Reporter;
  readonly output: OutputForm | undefined;
  /** Once a second; the watch ends when it does. */
  readonly seconds: AsyncIterable<unknown>;
  readonly warn: (line: string) => void;
}

const everySeconds = 10;

export async function watchStatus(runtime: Runtime, options: WatchOptions): Promise<void> {
  const isDrawn = runtime.stdout.isTTY === true && options.output === undefined && !isDumbTerminal(runtime);
  await (isDrawn ? draw(runtime, options) : follow(runtime, options));
}

async function draw(runtime: Runtime, { reporter, seconds }: WatchOptions): Promise<void> {
  const { stdout, now } = runtime;
  let height = 0;
  const show = (text: string): void => {
    const { columns, rows } = runtime.terminal().stdout;
    const lines = text.split('\n').slice(0, Math.max(1, rows - 1));
    const up = height === 0 ? '' : `\u001B[${height}A`;
    // Each line is written over its predecessor and cleared behind itself, so that nothing is ever blank.
    const body = lines.map((line) => `${line.slice(0, columns - 1)}\u001B[K\n`).join('');
    stdout.write(`\r${up}${body}\u001B[J`);
    height = lines.length;
  };
  stdout.write('\u001B[?25l');
  const { jobControl } = runtime;
  const noSuspending = jobControl?.onSuspend(() => {
    stdout.write('\u001B[?25h');
    jobControl.suspend();
    // What was drawn is somewhere above by now.
    height = 0;
    stdout.write('\u001B[?25l');
  });
  try {
    let reports = await reporter.read();
    let readAt = now().getTime();
    let passed = 0;
    const table = (): string =>
      render(reports, { passedMs: now().getTime() - readAt, width: runtime.terminal().stdout.columns - 1 });
    show(table());
    for await (const _ of seconds) {
      passed += 1;
      if (passed % everySeconds === 0) {
        reports = await reporter.read();
        readAt = now().getTime();
      }
      show(table());
    }
  } finally {
    noSuspending?.();
    stdout.write('\u001B[?25h');
  }
}

function render(
  reports: readonly ServerReport[],
  shown: { readonly passedMs: number; readonly width: number },
): string {
  const table = renderReports(reports, shown).trimEnd();
  const failures = reports.flatMap(({ failure }) => (failure === undefined ? [] : [failure.message]));
  const warnings = reports.flatMap(({ warning }) => (warning === undefined ? [] : [warning]));
  const nothing = table === '' && failures.length === 0 ? ['No sessions. Log in with: tka login'] : [];
  return [table, ...nothing, ...failures, ...warnings].filter((line) => line !== '').join('\n');
}

async function follow({ stdout }: Runtime, options: WatchOptions): Promise<void> {
  const { reporter, seconds, output, warn } = options;
  const shown = new Map<string, string>();
  let before = '';
  const look = async (): Promise<void> => {
    const reports = await reporter.read();
    if (output === undefined) {
      for (const line of changes(reports, shown)) stdout.write(`${line}\n`);
    } else {
      const text = await document(output, reports);
      if (comparable(text) !== before) stdout.write(text);
      before = comparable(text);
    }
    for (const { failure } of reports) if (failure !== undefined) warn(failure.message);
  };
  await look();
  let passed = 0;
  for await (const _ of seconds) {
    passed += 1;
    if (passed % everySeconds === 0) await look();
  }
}

/** A line for each session that is not as it was. */
function changes(reports: readonly ServerReport[], shown: Map<string, string>): readonly string[] {
  const lines = new Map<string, string>(
    reports.flatMap(({ server, sessions }) =>
      sessions.map(({ session, role = '-', state, contexts, until = '-' }) => {
        const context = contexts.length === 0 ? '-' : contexts.join(',');
        return [`${server} ${session}`, [server, session, role, state, until, context].join('  ')] as const;
      }),
    ),
  );
  const changed = [...lines].flatMap(([key, line]) => (shown.get(key) === line ? [] : [line]));
  const gone = [...shown.keys()]
    .filter((key) => !lines.has(key))
    .map((key) => `${key.replace(' ', '  ')}  -  ended  -  -`);
  shown.clear();
  for (const [key, line] of lines) shown.set(key, line);
  return [...changed, ...gone];
}

/** JSON in one line, so that each line of a pipe is a document; YAML as documents in a stream. */
async function document(output: OutputForm, reports: readonly ServerReport[]): Promise<string> {
  if (output === 'json') return `${JSON.stringify(asData(reports))}\n`;
  const { renderData } = await import('../terminal/structured-output.ts');
  const text = await renderData(output, asData(reports), sessionNames(reports));
  return output === 'yaml' ? `---\n${text}` : text;
}

/** The passing of time is not a change. */
function comparable(text: string): string {
  return text.replaceAll(/"?remainingSeconds"?: ?\d+/g, '');
}
