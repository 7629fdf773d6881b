/**
 * What the word at the cursor is, by the commands as they are declared: the name of a command, a flag, the value of a flag or
 * an argument. It reads words as the parser will, but forgives what is not complete yet.
 */
import type { Argument, Command, Option } from 'commander';

export interface Position {
  /** The command that the words before lead to. */
  readonly command: Command;
  /** What is typed of the word; for `--flag=val` only `val`. */
  readonly prefix: string;
  /** Values of the flags before, by attribute: `server`, `role`. */
  readonly given: Readonly<Record<string, string>>;
  readonly wanted:
    | { readonly kind: 'flag'; readonly options: readonly Option[] }
    | { readonly kind: 'value'; readonly option: Option }
    | {
        readonly kind: 'word';
        readonly commands: readonly Command[];
        readonly argument?: Argument;
        readonly before: readonly string[];
      }
    /** The command line of another program. */
    | { readonly kind: 'foreign' };
}

/** `words` are those after the program's name, the one at the cursor last. */
export function locate(root: Command, words: readonly string[]): Position {
  const current = words.at(-1) ?? '';
  const given: Record<string, string> = {};
  const operands: string[] = [];
  let command = root;
  let pending: Option | undefined;
  for (const word of words.slice(0, -1)) {
    if (pending !== undefined) {
      given[pending.attributeName()] = word;
      pending = undefined;
    } else if (word === '--') {
      return { command, prefix: current, given, wanted: { kind: 'foreign' } };
    } else if (word.length > 1 && word.startsWith('-')) {
      pending = readFlag(command, word, given);
    } else {
      const next = operands.length === 0 ? find(command, word) : undefined;
      if (next !== undefined) command = next;
      // `help` is not declared as a command: command names follow it.
      else if (!(command === root && word === 'help')) operands.push(word);
    }
  }
  if (pending !== undefined) return { command, prefix: current, given, wanted: { kind: 'value', option: pending } };
  if (current.startsWith('--') && current.includes('=')) {
    const [name = '', ...value] = current.split('=');
    const option = optionsOf(command).find(({ long }) => long === name);
    if (option?.required !== true) return { command, prefix: current, given, wanted: { kind: 'foreign' } };
    return { command, prefix: value.join('='), given, wanted: { kind: 'value', option } };
  }
  if (current.startsWith('-')) {
    const options = optionsOf(command).filter((option) => !option.hidden && !(option.attributeName() in given));
    return { command, prefix: current, given, wanted: { kind: 'flag', options } };
  }
  const argument =
    command.registeredArguments[operands.length] ?? command.registeredArguments.findLast((one) => one.variadic);
  const commands = operands.length === 0 ? command.createHelp().visibleCommands(command) : [];
  return {
    command,
    prefix: current,
    given,
    wanted: { kind: 'word', commands, before: operands, ...(argument === undefined ? {} : { argument }) },
  };
}

/** The flag that the next word is the value of. */
function readFlag(command: Command, word: string, given: Record<string, string>): Option | undefined {
  const options = optionsOf(command);
  if (word.startsWith('--')) {
    const [name = '', ...value] = word.split('=');
    const option = options.find(({ long }) => long === name);
    if (option === undefined) return undefined;
    if (option.required && value.length === 0) return option;
    given[option.attributeName()] = value.join('=');
    return undefined;
  }
  // Short flags may be written as one, the last with its value: -qojson.
  for (let at = 1; at < word.length; at += 1) {
    const option = options.find(({ short }) => short === `-${word[at] ?? ''}`);
    if (option === undefined) return undefined;
    const rest = word.slice(at + 1);
    if (option.required && rest === '') return option;
    given[option.attributeName()] = option.required ? rest : '';
    if (option.required) return undefined;
  }
  return undefined;
}

function optionsOf(command: Command): readonly Option[] {
  return command.parent === null ? command.options : [...command.options, ...optionsOf(command.parent)];
}

function find(command: Command, name: string): Command | undefined {
  return command.commands.find((one) => one.name() === name || one.aliases().includes(name));
}
