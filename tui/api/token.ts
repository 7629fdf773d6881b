/** What a credential looks like. Loads nothing: the credential plugin is on this path. */

/** The characters of a JWT, which tka's own tokens share. A token with any other could break out of where it is written. */
export function isToken(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,16384}$/.test(text);
}

/** A session's name, as it goes into file names, arguments and queries. */
export function isSessionName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/.test(text);
}

/** Whether it is one that tka itself takes, for the Kubernetes API through tka, and no token of the API server's. */
export function isProxyToken(token: string): boolean {
  return token.startsWith('tka_');
}

/** When a JWT says that it ends; undefined for any other token. Nothing is verified: the API server does that. */
export function tokenExpiry(token: string): Date | undefined {
  const [, payload] = token.split('.');
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    if (typeof claims !== 'object' || claims === null || !('exp' in claims)) return undefined;
    const date = new Date(Number(claims.exp) * 1000);
    return Number.isNaN(date.getTime()) ? undefined : date;
  } catch {
    return undefined;
  }
}
