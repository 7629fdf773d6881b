/** Plain values as YAML, as kubectl writes it. Loads its library at once: who needs it imports this on demand. */
import { stringify } from 'yaml';

export function yamlText(value: unknown): string {
  return stringify(value, { lineWidth: 0, indentSeq: false, aliasDuplicateObjects: false });
}
