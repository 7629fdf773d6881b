/**
 * Why an exchange with a server failed, in the words of its class, with the one remedy that fits first: refused, timed out, an
 * unknown name, a certificate that cannot be verified and why, another protocol on the port, or the proxy on the way.
 */
import { PassingError, ProxyError, systemCode, UnreachableError, UserError } from '../errors.ts';
import { printable } from '../terminal/output.ts';
import { withoutSecrets } from './proxy.ts';

export interface Described {
  readonly server: URL;
  readonly proxy: URL | undefined;
}

export type TimedOut = 'connecting' | 'answering';

export function timedOut({ server, proxy }: Described, what: TimedOut, ms: number): UnreachableError {
  const within = `within ${Math.ceil(ms / 1000)} s`;
  if (what === 'answering') {
    const message = `${server.origin}${through(proxy)} did not answer ${within}`;
    const advice = ['It may be overloaded: try again, or allow more time with --timeout 2m.'];
    return proxy === undefined ? new PassingError(message, advice) : new UnreachableError(message, advice);
  }
  if (proxy !== undefined) {
    return new ProxyError(`the proxy ${withoutSecrets(proxy)} took no connection ${within}`, [checkProxy]);
  }
  return new PassingError(`${server.origin} took no connection ${within}`, [
    'A firewall, or the tailnet policy, may drop it: check that this machine may reach that port.',
    anotherServer,
  ]);
}

/** What Node's errors say, as a UserError; those that are one already come back. */
export function explainFailure(error: Error, described: Described): Error {
  if (error instanceof UserError || error.name === 'Interrupted' || error.name === 'TimeoutError') return error;
  const { server, proxy } = described;
  const code = systemCode(error) ?? codeInText(error) ?? '';
  if (proxy !== undefined && isOfProxy(error, described)) return proxyFailure(error, proxy, code);
  const failure = classOf(error, described, code);
  const Kind = failure.isPassing === true && proxy === undefined ? PassingError : UnreachableError;
  return new Kind(`${server.origin}${through(proxy)} ${failure.what}`, failure.advice, error);
}

interface Failure {
  readonly what: string;
  readonly advice: readonly string[];
  /** The same call may succeed in a moment. */
  readonly isPassing?: boolean;
}

const anotherServer = 'Another server is named with --server, TKA_SERVER or the configuration file.';
const checkProxy = 'Check HTTP_PROXY and HTTPS_PROXY, and that the proxy runs; NO_PROXY names what needs none.';

function classOf(error: Error, { server }: Described, code: string): Failure {
  if (code === 'ECONNREFUSED') {
    const advice = [`Check the port, and that tka runs there: nothing listens at ${server.host}.`, anotherServer];
    return { what: 'refuses the connection', advice, isPassing: true };
  }
  if (code === 'ENOTFOUND') {
    const advice = [
      'Check the name. A name of a tailnet resolves while this machine is connected to it: tailscale status',
      anotherServer,
    ];
    return { what: 'has no address: its name is unknown', advice };
  }
  if (code === 'EAI_AGAIN') {
    const advice = [
      'Check the DNS settings of this machine, or name the server by its address: --server http://ADDRESS',
    ];
    return { what: 'has no address: the DNS server does not answer', advice };
  }
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH') {
    return {
      what: `cannot be reached: no route to it (${code})`,
      advice: ['Check that this machine is connected: tailscale status'],
      isPassing: true,
    };
  }
  if (code.startsWith('HPE_')) {
    const advice = [
      server.protocol === 'http:'
        ? `Check the port. If it speaks TLS: --server https://${server.host}`
        : `Check the name and the port of the server.`,
    ];
    return { what: 'does not speak HTTP', advice };
  }
  return certificateFailure(error, server, code) ?? otherFailure(error, code);
}

function certificateFailure(error: Error, { hostname, port }: URL, code: string): Failure | undefined {
  const plain = `Inside a tailnet plain http is encrypted by WireGuard: --server http://${hostname}`;
  const said = printable(error.message, 200);
  if (code === 'CERT_HAS_EXPIRED') {
    const advice = ['Its admin has to renew it. Check the clock of this machine too: date'];
    return { what: `has a certificate that has expired: it cannot be verified`, advice };
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return { what: 'has a certificate that is not valid yet', advice: ['Check the clock of this machine: date'] };
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const advice = ['Name the server as its certificate does, with --server.', plain];
    return { what: `has a certificate for other names: ${said}`, advice };
  }
  if (/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)/.test(code)) {
    return { what: `has a certificate of an unknown authority: it cannot be verified (${said})`, advice: [plain] };
  }
  if (/WRONG_VERSION_NUMBER|EPROTO|PACKET_LENGTH|UNEXPECTED_MESSAGE|HTTP_REQUEST/.test(code)) {
    const at = port === '' ? hostname : `${hostname}:${port}`;
    return { what: 'does not speak TLS on this port', advice: [`If it speaks plain HTTP: --server http://${at}`] };
  }
  if (!/CERT|TLS|SSL/.test(code)) return undefined;
  return { what: `has a certificate that cannot be verified: ${said}`, advice: [plain] };
}

function otherFailure(error: Error, code: string): Failure {
  const reason = printable(code === '' ? error.message : code);
  const what = code === 'ECONNRESET' ? 'closed the connection without an answer' : `cannot be reached (${reason})`;
  return { what, advice: ['Try again. If it stays so, see whether tka runs there.', anotherServer], isPassing: true };
}

function through(proxy: URL | undefined): string {
  return proxy === undefined ? '' : `, asked through the proxy ${withoutSecrets(proxy)},`;
}

/** Whether it was the connection to the proxy that failed: by the port or the name that Node tells. */
function isOfProxy(error: Error, { server, proxy }: Described): boolean {
  if (proxy === undefined) return false;
  if (proxy.protocol.startsWith('socks') && codeInText(error) !== undefined) return true;
  const { port, hostname } = error as { port?: unknown; hostname?: unknown };
  const own = proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port);
  if (typeof hostname === 'string') return hostname === proxy.hostname && hostname !== server.hostname;
  return port === own;
}

/** The SOCKS client keeps the system's word in its message alone. */
function codeInText(error: Error): string | undefined {
  return systemCode(error) === undefined ? /^(?:connect|getaddrinfo) (E[A-Z]+)\b/.exec(error.message)?.[1] : undefined;
}

function proxyFailure(error: Error, proxy: URL, code: string): ProxyError {
  const what =
    code === 'ECONNREFUSED'
      ? 'refuses the connection'
      : code === 'ENOTFOUND'
        ? 'has no address: its name is unknown'
        : `cannot be reached (${printable(code === '' ? error.message : code)})`;
  return new ProxyError(`the proxy ${withoutSecrets(proxy)} ${what}`, [checkProxy], error);
}
