/**
 * Lines out of bytes as they arrive. A line longer than `max` bytes is an error: there is no telling what the other side thinks.
 */
export class LineTooLongError extends Error {
  override readonly name = 'LineTooLongError';
}

export interface LineReader {
  /** Calls `onLine` for each line that is whole, without its end. Throws a LineTooLongError. */
  push(chunk: Buffer): void;
}

export function createLineReader(max: number, onLine: (line: string) => void): LineReader {
  let partial: Buffer[] = [];
  let partialBytes = 0;
  return {
    push(chunk) {
      let start = 0;
      for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
        const piece = chunk.subarray(start, end);
        start = end + 1;
        if (partialBytes + piece.length > max) throw new LineTooLongError(`a line of more than ${max} bytes`);
        const line = partial.length === 0 ? piece : Buffer.concat([...partial, piece]);
        partial = [];
        partialBytes = 0;
        onLine(line.toString('utf8'));
      }
      if (start === chunk.length) return;
      partial.push(chunk.subarray(start));
      partialBytes += chunk.length - start;
      if (partialBytes > max) throw new LineTooLongError(`a line of more than ${max} bytes`);
    },
  };
}

const newline = 0x0a;
