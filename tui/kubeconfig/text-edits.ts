/** Edits of a text by position, and where lines and nodes of it begin and end. Loads nothing. */
import type { Node } from 'yaml';

export interface Edit {
  readonly start: number;
  /** Behind the last character that goes. */
  readonly end: number;
  readonly text: string;
}

/** Positions are those of the text before; edits at one position are applied in their order. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const ordered = edits
    .map((edit, order) => ({ ...edit, order }))
    .sort((a, b) => a.start - b.start || a.end - b.end || a.order - b.order);
  let at = 0;
  let result = '';
  for (const edit of ordered) {
    result += text.slice(at, Math.max(at, edit.start)) + edit.text;
    at = Math.max(at, edit.end);
  }
  return result + text.slice(at);
}

/** CRLF where the first line ends so. */
export function lineEndOf(text: string): string {
  const at = text.indexOf('\n');
  return at > 0 && text[at - 1] === '\r' ? '\r\n' : '\n';
}

export function startOfLine(text: string, at: number): number {
  return text.lastIndexOf('\n', at - 1) + 1;
}

/** Behind the line end of the line that `at` is in, or that ends at `at`. */
export function endOfLine(text: string, at: number): number {
  if (at > 0 && text[at - 1] === '\n') return at;
  const found = text.indexOf('\n', at);
  return found < 0 ? text.length : found + 1;
}

/** Behind a node's last character: the range of a block collection covers the comments after it too. */
export function endOfNode(node: Node): number {
  const end = node.range?.[1] ?? 0;
  if (!('items' in node) || ('flow' in node && node.flow)) return end;
  const last: unknown = node.items.at(-1);
  const leaf =
    typeof last === 'object' && last !== null && 'key' in last && 'value' in last ? (last.value ?? last.key) : last;
  return typeof leaf === 'object' && leaf !== null && 'range' in leaf ? endOfNode(leaf as Node) : end;
}
