/**
 * Repeated warnings and errors with the same message are logged once a second: the first at once, the following ones of that second as
 * one line, the last of them, with their number in `repeated`. So incidents of thousands of sessions stay readable, and logging them
 * does not slow down the sessions. Other levels pass unchanged; so do records of one request at any level: audit lines, and lines with
 * the `requestId` that the caller got.
 */
import type { LoggerOptions } from 'pino';

type LogMethod = NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']>;

interface Repeats {
  count: number;
  /** Logs the last of them. */
  write: () => void;
}

const warn = 40;
const error = 50;

/** For pino's hooks. `later` calls back once after the given time, and may be called when the process ends. */
export function mergingRepeats(later: (callback: () => void, ms: number) => void, windowMs = 1000): LogMethod {
  const open = new Map<string, Repeats>();

  const close = (words: string): void => {
    const repeats = open.get(words);
    open.delete(words);
    if (repeats === undefined || repeats.count === 0) return;
    // Another second begins with this line: a steady stream is one line a second, not two.
    begin(words);
    repeats.write();
  };
  const begin = (words: string): void => {
    open.set(words, { count: 0, write: () => {} });
    later(() => close(words), windowMs);
  };

  return function logMethod(args, method, level) {
    const [fields, message] = args as unknown as readonly [unknown, unknown];
    const words = typeof fields === 'string' ? fields : message;
    if ((level !== warn && level !== error) || typeof words !== 'string' || isRecord(fields)) {
      method.apply(this, args);
      return;
    }
    const key = `${level} ${words}`;
    const repeats = open.get(key);
    if (repeats === undefined) {
      begin(key);
      method.apply(this, args);
      return;
    }
    repeats.count += 1;
    const { count } = repeats;
    repeats.write = () => {
      const object = fields instanceof Error ? { err: fields } : typeof fields === 'object' ? fields : {};
      method.apply(this, [{ ...object, repeated: count }, words]);
    };
  };
}

function isRecord(fields: unknown): boolean {
  if (typeof fields !== 'object' || fields === null) return false;
  return ('audit' in fields && fields.audit === true) || 'requestId' in fields;
}
