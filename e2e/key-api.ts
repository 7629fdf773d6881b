/**
 * The part of Tailscale's API that makes auth keys for an OAuth client, on loopback. The keys are the stack's own control server's, so
 * that what is joined with them is real. Whoever starts it closes it.
 */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface KeyApi extends AsyncDisposable {
  readonly url: string;
  /** What was asked for, in order: the client's secret, then the wish for a key. */
  readonly asked: readonly string[];
}

export async function startKeyApi(issue: () => Promise<string>): Promise<KeyApi> {
  const asked: string[] = [];
  const answer = async (req: IncomingMessage): Promise<object | undefined> => {
    const body = await text(req);
    if (req.url === '/api/v2/oauth/token') {
      const [, basic = ''] = /^Basic (.*)$/.exec(req.headers.authorization ?? '') ?? [];
      const byHeader = Buffer.from(basic, 'base64').toString().split(':')[1];
      asked.push(byHeader ?? new URLSearchParams(body).get('client_secret') ?? '');
      return { access_token: 'access-1', token_type: 'Bearer', expires_in: 3600 };
    }
    if (req.url !== '/api/v2/tailnet/-/keys' || req.headers.authorization !== 'Bearer access-1') return undefined;
    asked.push(body);
    return { id: 'k1', key: await issue() };
  };
  const server = createServer((req, res) => {
    answer(req).then(
      (found) =>
        res
          .writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' })
          .end(JSON.stringify(found ?? {})),
      (error: unknown) => res.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // Listening on a port, so the address is no path.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function text(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  // No encoding is set, so what comes are bytes.
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
