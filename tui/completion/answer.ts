/**
 * `tka complete -- WORDS`, which the shells' scripts run at each Tab, and kubectl as `kubectl_complete-tka WORDS`: a line for
 * each candidate, with its description after a tab, then `:` and what the shell is to do besides: the protocol of
 * @bomb.sh/tab, and of kubectl. It answers quickly, never asks a person, and never says that anything is wrong.
 */
import type { Command } from 'commander';
import type { Runtime } from '../runtime.ts';
import { printable } from '../terminal/output.ts';
import { locate, type Position } from './position.ts';
import type { Values } from './values.ts';

export async function complete(runtime: Runtime, root: Command, words: readonly string[]): Promise<void> {
  const { candidates, directive } = await answer(runtime, locate(root, words)).catch(() => nothing);
  const lines = candidates.map(({ value, description = '' }) => `${value}\t${printable(description, 60)}`);
  const text = [...new Set(lines), `:${directive}`, ''].join('\n');
  // Written when this resolves, because the process ends then (cli.ts).
  await new Promise<void>((resolve) => runtime.stdout.write(text, () => resolve()));
}

interface Candidate {
  readonly value: string;
  readonly description?: string | undefined;
}

interface Answer {
  readonly candidates: readonly Candidate[];
  readonly directive: number;
}

/** As cobra has them. */
const directives = { files: 0, noFiles: 4 } as const;
const nothing: Answer = { candidates: [], directive: directives.noFiles };

async function answer(runtime: Runtime, position: Position): Promise<Answer> {
  const { wanted, prefix } = position;
  if (wanted.kind === 'foreign') return { candidates: [], directive: directives.files };
  const { candidates, files } = await candidatesAt(runtime, position);
  return {
    candidates: candidates.filter(({ value }) => value.startsWith(prefix) && isPlain(value)),
    directive: files === true ? directives.files : directives.noFiles,
  };
}

interface Candidates {
  readonly candidates: readonly Candidate[];
  readonly files?: true | undefined;
}

async function candidatesAt(runtime: Runtime, position: Position): Promise<Candidates> {
  const { wanted, prefix } = position;
  if (wanted.kind === 'foreign') return { candidates: [], files: true };
  if (wanted.kind === 'flag') {
    const isLong = prefix.startsWith('--');
    const named = wanted.options.flatMap(({ short, long, description }) =>
      [isLong ? undefined : short, long].flatMap((value) => (value === undefined ? [] : [{ value, description }])),
    );
    return { candidates: named };
  }
  const { valuesOfArgument, valuesOfOption } = await import('./values.ts');
  if (wanted.kind === 'value') {
    return described(await valuesOfOption(runtime, wanted.option, position));
  }
  const names = wanted.commands.map((command) => ({ value: command.name(), description: command.description() }));
  if (wanted.argument === undefined || names.some(({ value }) => value.startsWith(prefix)))
    return { candidates: names };
  return described(await valuesOfArgument(runtime, wanted.argument, position, wanted.before));
}

function described({ values, meanings = {}, files }: Values): Candidates {
  return { candidates: values.map((value) => ({ value, description: meanings[value] })), files };
}

/** Some shells take a candidate for what it would be if it were typed: no server may offer `$(…)`. */
function isPlain(value: string): boolean {
  return /^[\w.@:/+,-]{1,253}$/.test(value);
}
