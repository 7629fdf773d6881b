declare module 'proxy-from-env' {
  /** The proxy that the process's environment names for this URL, or the empty string. */
  export function getProxyForUrl(url: string): string;
}
