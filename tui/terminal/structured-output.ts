/**
 * Data on stdout, in the form that `-o` asks for: JSON, YAML with the same content, or names alone, one a line. YAML's writer
 * loads only for YAML.
 */
import type { OutputForm } from '../flags.ts';
import type { Runtime } from '../runtime.ts';

/** `names`: what `-o name` prints; fit to be shown, as the value is. */
export async function writeData(
  { stdout }: Pick<Runtime, 'stdout'>,
  form: OutputForm,
  value: unknown,
  names: string | readonly string[],
): Promise<void> {
  stdout.write(await renderData(form, value, names));
}

export async function renderData(form: OutputForm, value: unknown, names: string | readonly string[]): Promise<string> {
  if (form === 'name')
    return [names]
      .flat()
      .map((name) => `${name}\n`)
      .join('');
  const json = JSON.stringify(value, undefined, 2);
  if (form === 'json') return `${json}\n`;
  const { yamlText } = await import('./yaml.ts');
  // From the JSON, so that both forms have the same fields and dates.
  return yamlText(JSON.parse(json));
}
