/**
 * The server's log: one JSON line an event on standard output. Fields with the name of a secret are masked at every depth; warnings and
 * errors that repeat are one line a second (log-repeats.ts).
 *
 * Lines are written asynchronously and in order, all lines of `gatherMs` together, and the rest when the process ends: a request must
 * not wait for the reader of the log, and one write for each request costs as much as the request.
 */
import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { mergingRepeats } from './log-repeats.ts';

const secrets = [
  'token',
  'authKey',
  'authorization',
  'password',
  'secret',
  'key',
  'cert',
  'caData',
  'pfx',
  'passphrase',
];

const gatherMs = 25;
const gatherBytes = 8192;

export function createLog(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service: 'tka-server' },
    timestamp: isoTime(),
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { logMethod: mergingRepeats(laterOrAtExit(destination === undefined)) },
    redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '********' },
  };
  return pino(options, escaping(destination ?? standardOutput()));
}

/**
 * Control, bidirectional, zero-width and tag characters (C1, DEL, BOM among them) change what a terminal or a log viewer shows;
 * strings from callers without a session are logged too. JSON escapes only those below U+0020. In a line of JSON the others
 * can only be inside of strings, so an escape means the same.
 */
function escaping(destination: DestinationStream): DestinationStream {
  return {
    write: (line) => destination.write(unprintable.test(line) ? line.replaceAll(everyUnprintable, escapeOf) : line),
  };
}

const unprintable =
  /[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/;
const everyUnprintable = new RegExp(unprintable, 'g');

function escapeOf(characters: string): string {
  return characters
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/**
 * For lines whose fields are all named by the code that writes them, and none of them a secret: searching for secrets costs
 * more than the rest of a proxied request's line.
 */
export function withoutMasking(log: Logger): Logger {
  return log.child({}, { redact: [] });
}

/** What is still open when the process ends is written then; before standardOutput() is asked, whose own last flush comes after. */
function laterOrAtExit(isOwnOutput: boolean): (callback: () => void, ms: number) => void {
  const open = new Set<() => void>();
  if (isOwnOutput) process.on('exit', () => open.forEach((run) => run()));
  return (callback, ms) => {
    const run = (): void => {
      open.delete(run);
      callback();
    };
    open.add(run);
    setTimeout(run, ms).unref();
  };
}

function standardOutput(): DestinationStream {
  const output = pino.destination({ dest: 1, sync: false, minLength: gatherBytes });
  let hasFailed = false;
  // A server that cannot write its audit log must not serve: it ends, and its supervisor sees why.
  const fail = (error: NodeJS.ErrnoException): void => {
    if (hasFailed) return;
    hasFailed = true;
    process.stderr.write(`tka-server: cannot write to standard output (${error.code ?? error.message})\n`);
    process.exit(1);
  };
  output.on('error', fail);
  // Called by pino too when the process exits, where an exception would be handled by another exit, without end.
  const flushSync = output.flushSync.bind(output);
  output.flushSync = () => {
    if (hasFailed) return;
    try {
      flushSync();
    } catch (error) {
      fail(error as NodeJS.ErrnoException);
    }
  };
  process.on('exit', () => output.flushSync());
  let isDue = false;
  return {
    write(line) {
      output.write(line);
      if (isDue) return;
      isDue = true;
      setTimeout(() => {
        isDue = false;
        output.flush();
      }, gatherMs);
    },
  };
}

/** Like pino's own, which formats the date again for each line. */
function isoTime(): () => string {
  let second = -1;
  let text = '';
  return () => {
    const now = Date.now();
    const inSecond = now % 1000;
    if (now - inSecond !== second) {
      second = now - inSecond;
      text = `,"time":"${new Date(second).toISOString().slice(0, -4)}`;
    }
    return `${text}${String(inSecond).padStart(3, '0')}Z"`;
  };
}
