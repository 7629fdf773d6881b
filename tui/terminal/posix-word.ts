/** A path as a word of a POSIX shell, in quotes where it needs them: for commands that are shown to be copied. */
export function posixWord(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
