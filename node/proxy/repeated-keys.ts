/**
 * Keys that are in one object twice. Parsers differ in what they make of those: `JSON.parse` takes the last value, Go's decoder
 * keeps parts of both.
 */

/** `json` must be valid. */
export function hasRepeatedKey(json: string): boolean {
  // Of each object or array that is open; an array has no keys.
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < json.length; at += 1) {
    switch (json[at]) {
      case '{':
        open.push(new Set());
        break;
      case '[':
        open.push(undefined);
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case '"': {
        const end = endOfString(json, at);
        const keys = open.at(-1);
        if (keys !== undefined && isBeforeColon(json, end)) {
          const key = textOf(json.slice(at, end));
          if (keys.has(key)) return true;
          keys.add(key);
        }
        at = end - 1;
      }
    }
  }
  return false;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

function textOf(literal: string): string {
  return literal.includes('\\') ? String(JSON.parse(literal)) : literal.slice(1, -1);
}

function isBeforeColon(json: string, start: number): boolean {
  const colon = /[ \t\r\n]*:/y;
  colon.lastIndex = start;
  return colon.test(json);
}
