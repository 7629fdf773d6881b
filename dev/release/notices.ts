/** THIRD-PARTY-NOTICES: what is inside, under which licence, and each licence's text, once for all that share it to the letter. */
import type { Component } from './component.ts';

export function renderNotices(subject: string, components: readonly Component[]): string {
  const byText = new Map<string, Component[]>();
  for (const component of components) {
    for (const text of component.texts) byText.set(text, [...(byText.get(text) ?? []), component]);
  }
  const rule = '-'.repeat(100);
  return [
    `${subject} contains the following works of others.\n`,
    ...components.map(({ name, version, licence }) => `  ${name} ${version} (${licence})`),
    ...[...byText].map(
      ([text, owners]) => `\n${rule}\n${owners.map(({ name, version }) => `${name} ${version}`).join('\n')}\n\n${text}`,
    ),
    '',
  ].join('\n');
}
