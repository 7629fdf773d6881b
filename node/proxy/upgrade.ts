/** Which requests change their connection's protocol, and to what: exec, attach, port-forward, a watch over websocket. */

export type UpgradeProtocol = 'websocket' | 'SPDY/3.1';

/** `protocol` is undefined for any other than these: h2c and whatever comes next would be one that is not checked. */
export interface Upgrade {
  readonly protocol: UpgradeProtocol | undefined;
}

/** Undefined for a request that asks for none; an Upgrade header that Connection does not name does not count (RFC 9110, 7.8). */
export function upgradeIn(method: string, hasBody: boolean, rawHeaders: readonly string[]): Upgrade | undefined {
  const wanted = valuesOf(rawHeaders, 'upgrade');
  const [protocol] = wanted;
  if (protocol === undefined || !valuesOf(rawHeaders, 'connection').some(namesUpgrade)) return undefined;
  // A body's bytes could not be told from the stream's.
  const isPlain = (method === 'GET' || method === 'POST') && !hasBody && wanted.length === 1;
  return { protocol: isPlain ? protocolIn(protocol) : undefined };
}

function valuesOf(rawHeaders: readonly string[], wanted: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    if (name.length === wanted.length && name.toLowerCase() === wanted) values.push(rawHeaders[i + 1] ?? '');
  }
  return values;
}

function namesUpgrade(connection: string): boolean {
  return connection.split(',').some((token) => token.trim().toLowerCase() === 'upgrade');
}

function protocolIn(header: string): UpgradeProtocol | undefined {
  const name = header.trim().toLowerCase();
  return name === 'websocket' ? 'websocket' : name === 'spdy/3.1' ? 'SPDY/3.1' : undefined;
}
