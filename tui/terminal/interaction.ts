/**
 * Questions to the person at the terminal. Without a terminal there is no Interaction, so a script never confirms anything:
 * script: code that needs an answer takes `Interaction | undefined` and refuses where it is undefined.
 */
import type { Runtime } from '../runtime.ts';

export interface Interaction {
  /** False unless the person says yes. Rejects with Interrupted on Ctrl-C. */
  confirm(question: Question): Promise<boolean>;
  /** The index of the choice; undefined where the person wants none. */
  choose(question: Question, choices: readonly Choice[]): Promise<number | undefined>;
}

export interface Question {
  readonly title: string;
  /** Lines in between, printable already. */
  readonly details?: readonly string[];
}

export interface Choice {
  readonly label: string;
  readonly hint?: string;
}

/** Plain lines on stderr and stdin; undefined where there is no terminal, in CI, and with --non-interactive. */
export function plainInteraction(
  runtime: Runtime,
  flags: { readonly nonInteractive?: boolean | undefined },
): Interaction | undefined {
  const ci = runtime.env['CI'];
  if (flags.nonInteractive === true || !(ci === undefined || ci === '' || ci === 'false')) return undefined;
  if (runtime.stderr.isTTY !== true || !runtime.terminal().stdin.isTTY) return undefined;
  const say = (line: string): void => void runtime.stderr.write(`${line}\n`);
  return {
    async confirm({ title, details = [] }) {
      for (const line of details) say(line);
      const answer = await ask(runtime, `${title} [y/N] `);
      return answer !== undefined && /^y(es)?$/i.test(answer);
    },
    async choose({ title, details = [] }, choices) {
      for (const line of details) say(line);
      const width = Math.max(...choices.map(({ label }) => label.length));
      choices.forEach(({ label, hint }, index) => {
        say(`  ${index + 1}  ${hint === undefined ? label : `${label.padEnd(width)}  ${hint}`}`);
      });
      for (;;) {
        const answer = await ask(runtime, `${title} [1-${choices.length}] `);
        if (answer === undefined || answer === '') return undefined;
        const index = Number(answer) - 1;
        if (choices[index] !== undefined) return index;
        say(`Enter a number from 1 to ${choices.length}, or nothing to cancel.`);
      }
    },
  };
}

/**
 * The line that was typed; undefined at its end (Ctrl-D). The terminal stays as it is and edits the line itself, so that
 * Ctrl-C is the signal that it always is, and nothing has to be put back.
 */
async function ask({ terminal, stderr, signal }: Runtime, prompt: string): Promise<string | undefined> {
  const { createInterface } = await import('node:readline');
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const lines = createInterface({ input: terminal().stdin, terminal: false });
  const onAbort = (): void => {
    stderr.write('\n');
    reject(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  lines.once('line', (line) => resolve(line.trim()));
  lines.once('close', () => resolve(undefined));
  stderr.write(prompt);
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    lines.close();
  }
}
