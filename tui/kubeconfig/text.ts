/**
 * The text of a kubeconfig after its document was changed: what did not change stays byte for byte (indentation, comments,
 * quotes, line ends, flow style, further YAML documents), and JSON stays JSON.
 *
 * The text before is parsed again and compared with the document value by value; each difference becomes an edit at its place.
 * The result is parsed once more: where it does not say what the document says, the whole document is rendered instead.
 */
import { isDeepStrictEqual } from 'node:util';
import { Document, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml';
import { isEmpty, parseSource } from './parse.ts';
import { applyEdits, type Edit, endOfLine, endOfNode, lineEndOf, startOfLine } from './text-edits.ts';

export function rewriteKubeconfig(before: string, document: Document): string {
  const text = edited(before, document);
  if (text !== undefined && saysTheSame(text, document)) return text;
  const rendered = renderYaml(document, before);
  return lineEndOf(before) === '\n' ? rendered : rendered.replaceAll('\n', lineEndOf(before));
}

/** YAML as kubectl writes it: lists not indented under their key, long lines left whole. */
export function renderYaml(document: Document, like = ''): string {
  return document.toString({ lineWidth: 0, indentSeq: isIndented(like) });
}

function isIndented(text: string): boolean {
  return /^[a-z-]+:[^\S\n]*\r?\n(?:\s*#.*\n)*[^\S\n]+- /m.test(text);
}

interface Context {
  readonly text: string;
  readonly eol: string;
  readonly indentSeq: boolean;
  readonly before: Document;
  readonly after: Document;
  readonly edits: Edit[];
}

/** Undefined where a place cannot be found. */
function edited(text: string, after: Document): string | undefined {
  const before = parseSource(text);
  const context: Context = { text, eol: lineEndOf(text), indentSeq: isIndented(text), before, after, edits: [] };
  const { contents } = before;
  if (isEmpty(contents)) return filled(context, contents);
  if (!isMap(contents) || !isMap(after.contents)) return undefined;
  return changeMap(context, contents, after.contents) ? applyEdits(text, context.edits) : undefined;
}

/** Comments alone, a `null` or a `---`. */
function filled({ text, eol, after, indentSeq }: Context, contents: Node | null): string {
  const [start = 0, end = 0] = contents?.range ?? [];
  const rest = `${text.slice(0, start)}${text.slice(end)}`;
  const gap = rest === '' || rest.endsWith('\n') ? '' : eol;
  return `${rest.trim() === '' ? '' : rest}${gap}${block(after.toJS(), { indent: 0, eol, indentSeq })}${eol}`;
}

function saysTheSame(text: string, document: Document): boolean {
  try {
    const again = parseSource(text);
    const isSound = again.errors.every(({ code }) => code === 'MULTIPLE_DOCS');
    return isSound && isDeepStrictEqual(again.toJS(), document.toJS());
  } catch {
    return false;
  }
}

/** A node of the text before, and what is now in its place. */
function change(context: Context, before: Node, after: Node): boolean {
  if (isDeepStrictEqual(before.toJS(context.before), after.toJS(context.after))) return true;
  if (isMap(before) && isMap(after)) return changeMap(context, before, after);
  if (isSeq(before) && isSeq(after)) return changeSeq(context, before, after);
  return false;
}

type AnyPair = Pair;

function changeMap(context: Context, before: YAMLMap, after: YAMLMap): boolean {
  const isFlow = before.flow === true;
  const kept = before.items.every((pair) => {
    const now = findPair(after, pair);
    if (now === undefined) return isFlow ? removeFromFlow(context, before, pair) : removePair(context, pair);
    return changePair(context, pair, now, isFlow);
  });
  const added = after.items.filter((pair) => findPair(before, pair) === undefined);
  if (!kept || added.length === 0) return kept;
  const values = added.map((pair) => [String(plainKey(pair)), plain(context.after, pair.value)] as const);
  if (isFlow) {
    return addToFlow(context, before, (style) =>
      values.map(([key, value]) => `${JSON.stringify(key)}: ${json(value, style)}`),
    );
  }
  const [first] = before.items;
  const keyStart = startOf(first);
  if (keyStart === undefined) return false;
  const at = endOfLine(context.text, endOfNode(before));
  addLines(context, at, block(Object.fromEntries(values), { ...context, indent: column(context.text, keyStart) }));
  return true;
}

/** By its place in the text, since keys may repeat; by its key where it is not of the text. */
function findPair(map: YAMLMap, pair: AnyPair): AnyPair | undefined {
  const start = startOf(pair);
  const inPlace = map.items.find((other) => start !== undefined && startOf(other) === start);
  return inPlace ?? map.items.find((other) => isDeepStrictEqual(plainKey(other), plainKey(pair)));
}

function changePair(context: Context, before: AnyPair, after: AnyPair, isFlow: boolean): boolean {
  const was = plain(context.before, before.value);
  const value = plain(context.after, after.value);
  if (isDeepStrictEqual(was, value)) return true;
  const colon = before.srcToken?.sep?.find(({ type }) => type === 'map-value-ind');
  const start = startOf(before);
  if (colon === undefined || start === undefined) return false;
  const afterColon = colon.offset + 1;
  const node = isNode(before.value) && !isEmpty(before.value) ? before.value : undefined;
  const hasItems = (isSeq(node) || isMap(node)) && node.items.length > 0;
  if (hasItems && isNode(after.value)) {
    const isEmptied = Array.isArray(value) && value.length === 0 && isSeq(node) && node.flow !== true;
    if (isEmptied) context.edits.push({ start: afterColon, end: afterColon, text: ' []' });
    if (change(context, node, after.value)) return true;
    if (isEmptied) return false;
  }
  const [valueStart = afterColon, valueEnd] = isNode(before.value) ? (before.value.range ?? []) : [];
  // The place of a value that is not there may be behind a comment.
  const end = isNode(before.value) && valueStart !== valueEnd ? endOfNode(before.value) : afterColon;
  const replaced = { start: Math.min(node?.range?.[0] ?? afterColon, end), end };
  if (isFlow || !isObject(value) || Object.keys(value).length === 0) {
    const isPlain = !isFlow && !isObject(value);
    const text = isPlain ? block(value, { ...context, indent: 0 }) : JSON.stringify(value);
    // An empty value has its place anywhere behind the colon.
    const place = node === undefined ? { start: afterColon, end, text: ` ${text}` } : { ...replaced, text };
    context.edits.push(place);
    return !text.includes('\n');
  }
  context.edits.push({ start: afterColon, end, text: '' });
  const indent = column(context.text, start);
  const isList = Array.isArray(value);
  addLines(
    context,
    endOfLine(context.text, end),
    block(value, { ...context, indent: isList && !context.indentSeq ? indent : indent + 2 }),
  );
  return true;
}

function removePair({ text, edits }: Context, pair: AnyPair): boolean {
  const start = startOf(pair);
  // The first one may stand behind the dash of an item.
  if (start === undefined || text.slice(startOfLine(text, start), start).trim() !== '') return false;
  const end = endOfLine(text, isNode(pair.value) ? endOfNode(pair.value) : start);
  edits.push({ start: startOfLine(text, start), end, text: '' });
  return true;
}

function changeSeq(context: Context, before: YAMLSeq, after: YAMLSeq): boolean {
  const isFlow = before.flow === true;
  // Nodes that are not of the text have no range.
  const find = (item: unknown): Node | undefined =>
    after.items
      .filter(isNode)
      .find(({ range }) => isNode(item) && range?.[0] === item.range?.[0] && range !== undefined);
  const kept = before.items.every((item, index) => {
    if (!isNode(item)) return false;
    const now = find(item);
    if (now !== undefined) return change(context, item, now);
    return isFlow ? removeFromFlow(context, before, item) : removeItem(context, before, index);
  });
  const isOfText = new Set(before.items.map(find));
  const added = after.items.filter((item) => !isOfText.has(isNode(item) ? item : undefined));
  if (!kept || added.length === 0) return kept;
  const values = added.map((item) => plain(context.after, item));
  if (isFlow) return addToFlow(context, before, (style) => values.map((value) => json(value, style)));
  const dash = dashOf(before, 0);
  if (dash === undefined) return false;
  const at = endOfLine(context.text, endOfNode(before));
  addLines(context, at, block(values, { ...context, indent: column(context.text, dash) }));
  return true;
}

function removeItem({ text, edits }: Context, seq: YAMLSeq, index: number): boolean {
  const dash = dashOf(seq, index);
  const item = seq.items[index];
  if (dash === undefined || !isNode(item)) return false;
  edits.push({ start: startOfLine(text, dash), end: endOfLine(text, Math.max(dash + 1, endOfNode(item))), text: '' });
  return true;
}

function dashOf({ srcToken }: YAMLSeq, index: number): number | undefined {
  if (srcToken?.type !== 'block-seq') return undefined;
  return srcToken.items[index]?.start.find(({ type }) => type === 'seq-item-ind')?.offset;
}

function addLines({ text, eol, edits }: Context, at: number, lines: string): void {
  const isWhole = at === 0 || text[at - 1] === '\n';
  edits.push({ start: at, end: at, text: isWhole ? `${lines}${eol}` : `${eol}${lines}` });
}

interface BlockStyle {
  readonly indent: number;
  readonly eol: string;
  readonly indentSeq: boolean;
}

/** Without a line end behind it. Quotes what YAML 1.1 takes for something else than text, as kubectl reads that. */
function block(value: unknown, { indent, eol, indentSeq }: BlockStyle): string {
  const document = new Document(value, { aliasDuplicateObjects: false, compat: 'yaml-1.1' });
  const lines = document.toString({ lineWidth: 0, indentSeq }).replace(/\n$/, '').split('\n');
  return lines.map((line) => (line === '' ? line : `${' '.repeat(indent)}${line}`)).join(eol);
}

interface FlowStyle {
  /** Undefined: all in one line. */
  readonly unit: number | undefined;
  readonly indent: number;
  readonly eol: string;
}

function json(value: unknown, { unit, indent, eol }: FlowStyle): string {
  return JSON.stringify(value, undefined, unit).replaceAll('\n', `${eol}${' '.repeat(indent)}`);
}

function addToFlow(
  context: Context,
  collection: YAMLMap | YAMLSeq,
  render: (style: FlowStyle) => readonly string[],
): boolean {
  const { text, eol, edits } = context;
  const [start, end] = collection.range ?? [0, 0];
  const last = collection.items.at(-1);
  const isSpread = text.slice(start, end).includes('\n') || (last === undefined && /^\s*\{/.test(text));
  const line = startOfLine(text, start);
  const unit = /\n([ ]+)\S/.exec(text)?.[1]?.length ?? 2;
  const base = /^ */.exec(text.slice(line))?.[0].length ?? 0;
  const first = startOf(collection.items[0]);
  const isOwnLine = first !== undefined && text.slice(startOfLine(text, first), first).trim() === '';
  const indent = isOwnLine && first !== undefined ? column(text, first) : base + unit;
  const parts = render({ unit: isSpread ? unit : undefined, indent, eol });
  const gap = isSpread ? `${eol}${' '.repeat(indent)}` : ' ';
  if (last === undefined) {
    const close = isSpread ? `${eol}${' '.repeat(base)}` : '';
    edits.push({ start: start + 1, end: end - 1, text: `${isSpread ? gap : ''}${parts.join(`,${gap}`)}${close}` });
    return true;
  }
  const at = endOfItem(last);
  if (at === undefined) return false;
  edits.push({ start: at, end: at, text: parts.map((part) => `,${gap}${part}`).join('') });
  return true;
}

/** With the comma in front of it, or, for the first, behind it. */
function removeFromFlow({ edits }: Context, collection: YAMLMap | YAMLSeq, item: AnyPair | Node): boolean {
  const items: readonly unknown[] = collection.items;
  const index = items.indexOf(item);
  const [start, end] = [startOf(item), endOfItem(item)];
  const [previous, next] = [endOfItem(items[index - 1]), startOf(items[index + 1])];
  if (start === undefined || end === undefined) return false;
  if (previous !== undefined) edits.push({ start: previous, end, text: '' });
  else edits.push({ start, end: next ?? end, text: '' });
  return true;
}

function startOf(item: unknown): number | undefined {
  const node = isNode(item) ? item : isPair(item) ? item.key : undefined;
  return isNode(node) ? node.range?.[0] : undefined;
}

function endOfItem(item: unknown): number | undefined {
  if (isNode(item)) return endOfNode(item);
  if (!isPair(item)) return undefined;
  const node = isNode(item.value) ? item.value : item.key;
  return isNode(node) ? endOfNode(node) : undefined;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'range' in value && 'toJS' in value;
}

function isPair(value: unknown): value is AnyPair {
  return typeof value === 'object' && value !== null && 'key' in value && 'value' in value;
}

function plainKey({ key }: AnyPair): unknown {
  return isScalar(key) ? key.value : key;
}

function plain(document: Document, value: unknown): unknown {
  return isNode(value) ? value.toJS(document) : value;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function column(text: string, at: number): number {
  return at - startOfLine(text, at);
}
