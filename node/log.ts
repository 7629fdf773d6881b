/**
 * The server's log: one JSON line an event on standard output. Whatever is named like a secret is masked, wherever it sits.
 *
 * Lines are written behind the back of whoever logs, in order, and what is left at the process' end is written then: a request
 * must not wait for whoever reads the log.
 */
import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

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

export function createLog(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service: 'tka-server' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '********' },
  };
  return pino(options, destination ?? standardOutput());
}

/**
 * For lines whose fields are all named by the code that writes them, and none of them a secret: looking for what to mask costs
 * more than all the rest of a proxied request's line.
 */
export function withoutMasking(log: Logger): Logger {
  return log.child({}, { redact: [] });
}

function standardOutput(): DestinationStream {
  const output = pino.destination({ dest: 1, sync: false });
  process.on('exit', () => output.flushSync());
  return output;
}
