/** A web site that keeps what it was asked, over http and https alike. It listens on loopback, or for a moment elsewhere. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Place } from './names.ts';

export interface Resource {
  readonly headers?: OutgoingHttpHeaders;
  readonly body: string;
}

export interface SiteOptions {
  /** By path; any other path is an empty page. */
  readonly resources?: Readonly<Record<string, Resource>>;
  readonly address?: string;
  /** Paths of what its https shows; none has no https. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

export class Site {
  readonly asked: { readonly url: string; readonly headers: IncomingHttpHeaders }[] = [];
  readonly #plain: Server;
  readonly #secure: Server;

  private constructor(plain: Server, secure: Server) {
    this.#plain = plain;
    this.#secure = secure;
  }

  static async serve({ resources = {}, address = '127.0.0.1', tls }: SiteOptions = {}): Promise<Site> {
    const plain = createServer();
    const secure =
      tls === undefined ? plain : createTlsServer({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) });
    const site = new Site(plain, secure);
    for (const server of new Set([plain, secure])) {
      server.on('request', (req: IncomingMessage, res: ServerResponse) => {
        const url = req.url ?? '';
        site.asked.push({ url, headers: req.headers });
        const { headers = {}, body } = resources[url] ?? { body: '<!doctype html><title>empty</title>' };
        res.writeHead(200, { 'content-type': 'text/html', ...headers }).end(body);
      });
      server.listen(0, address);
      await once(server, 'listening');
    }
    return site;
  }

  /** Of its http. */
  get port(): number {
    return (this.#plain.address() as AddressInfo).port; // it listens on a port
  }

  /** Whatever the port, it is one of the two. */
  get place(): Place {
    return async (asked) => {
      const { address, port } = (asked === 443 ? this.#secure : this.#plain).address() as AddressInfo;
      const socket = connect(port, address);
      await once(socket, 'connect');
      return socket;
    };
  }

  /** On whoever is connected; who comes again is served. */
  hangUp(): void {
    for (const server of [this.#plain, this.#secure]) server.closeAllConnections();
  }

  close(): void {
    for (const server of new Set([this.#plain, this.#secure])) server.close();
    this.hangUp();
  }
}
