/**
 * Names of the tailnet client's state as keys of a Secret, and back. A Secret's keys may contain letters, digits, `-`, `_` and `.`, but
 * not begin with a dot; every other character is `--` and two hex digits, and so is a dash before another dash.
 */

/** One to one. */
export function secretKeyOf(name: string): string {
  return [...Buffer.from(name, 'utf8')]
    .map((byte, i, bytes) => {
      const character = String.fromCharCode(byte);
      const isPlain = /[A-Za-z0-9_]/.test(character);
      const isDot = character === '.' && i > 0;
      const isLoneDash = character === '-' && bytes[i + 1] !== byte;
      return isPlain || isDot || isLoneDash ? character : `--${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

/** Undefined for what secretKeyOf never makes. */
export function stateNameOf(secretKey: string): string | undefined {
  const bytes: number[] = [];
  for (const [part = '', hex] of secretKey.matchAll(/--([0-9a-f]{2})|[^]/g)) {
    bytes.push(hex === undefined ? part.charCodeAt(0) : Number.parseInt(hex, 16));
  }
  const name = Buffer.from(bytes).toString('utf8');
  return secretKeyOf(name) === secretKey ? name : undefined;
}
