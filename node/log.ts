/** The server's log: one JSON line an event on standard output. Whatever is named like a secret is masked, wherever it sits. */
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
  return destination === undefined ? pino(options) : pino(options, destination);
}
