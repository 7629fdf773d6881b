/**
 * Makes docs/cli.md from the command's own declaration (tui/program) and the prose in docs/cli/: one section for each command,
 * in the order of its help. Run as a script it writes the file, and docs/metrics.md; tests compare.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { format, resolveConfig } from 'prettier';
import { declareForHelp, exampleIn, pathOf, visibleCommands } from '../tui/testing/help-text.ts';
import { metricsReferencePath, renderMetricsReference } from './metrics-reference.ts';

const docs = join(dirname(dirname(fileURLToPath(import.meta.url))), 'docs');
export const cliReferencePath = join(docs, 'cli.md');

/** The whole file, as prettier has it. */
export async function renderCliReference(): Promise<string> {
  const { root, helpOf } = declareForHelp();
  const sections: string[] = [];
  let group = '';
  for (const command of visibleCommands(root)) {
    const heading = command.helpGroup().replace(/:$/, '');
    if (heading !== group) sections.push(`## ${heading}`);
    group = heading;
    sections.push(await section(command, '###', helpOf));
    for (const below of visibleCommands(command)) sections.push(await section(below, '####', helpOf));
  }
  const text = [
    '<!-- Made by `npm run docs` from tui/program and docs/cli: change those. -->',
    '# The `tka` command',
    await prose('introduction'),
    '## Flags of every command',
    'They may stand before or after the command.',
    flagTable(root),
    ...sections,
    await prose('closing'),
  ];
  const style = await resolveConfig(cliReferencePath);
  return format(text.join('\n\n'), { ...style, parser: 'markdown' });
}

async function section(command: Command, mark: string, helpOf: (command: Command) => string): Promise<string> {
  const own = command.options.filter((option) => !option.hidden);
  const names = command.aliases();
  const also = names.length === 0 ? '' : ` (also ${names.map((name) => `\`tka ${name}\``).join(', ')})`;
  const usage = command.createHelp().commandUsage(command);
  return [
    `${mark} \`${pathOf(command)}\`${also}`,
    sentence(command.description()),
    `\`\`\`console\n${usage}\n\n$ ${exampleIn(helpOf(command)).join('\n$ ')}\n\`\`\``,
    ...(own.length === 0 ? [] : [flagTable(command)]),
    await prose(pathOf(command).replace('tka ', '').replaceAll(' ', '-')),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function flagTable(command: Command): string {
  const rows = command.options.filter((option) => !option.hidden).map(flagRow);
  return ['| flag | |', '|---|---|', ...rows].join('\n');
}

function flagRow({ flags, description, argChoices }: Option): string {
  const names = flags.split(', ').map((flag) => `\`${flag}\``);
  const choices = argChoices === undefined ? '' : `: ${argChoices.map((choice) => `\`${choice}\``).join(', ')}`;
  return `| ${names.join(', ')} | ${description.replaceAll('|', String.raw`\|`)}${choices} |`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

async function prose(name: string): Promise<string> {
  try {
    return (await readFile(join(docs, 'cli', `${name}.md`), 'utf8')).trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(cliReferencePath, await renderCliReference());
  await writeFile(metricsReferencePath, await renderMetricsReference());
}
