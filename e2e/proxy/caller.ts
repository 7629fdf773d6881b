/**
 * A machine's requests to the proxy without kubectl: the session's token and nothing else that a client would add, up to the
 * single bytes. Everything goes through the machine's own tailscaled.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { Machine } from '../../dev/stack/machine.ts';
import type { Answer, RequestOptions } from '../../dev/stack/send.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import type { TkaServer } from '../../dev/stack/tka-server.ts';
import { described } from '../described.ts';
import { Watch } from './watch.ts';

/** What a session's kubeconfig holds. */
export interface Entry {
  readonly session: string;
  readonly token: string;
  /** `https://tka.tail.test/k8s`. */
  readonly url: string;
}

export class Caller {
  readonly machine: Machine;
  readonly #stack: Stack;
  readonly #server: TkaServer;

  constructor(stack: Stack, machine: Machine, server = stack.tka) {
    this.#stack = stack;
    this.#server = server;
    this.machine = machine;
  }

  static of(stack: Stack, user: string): Caller {
    return new Caller(stack, stack.machine(user));
  }

  /** Path of tka's own CA, once somebody has logged in. */
  get caFile(): string {
    return join(this.#stack.dir, `${this.#server.hostname}-ca.pem`);
  }

  /** Of the plain HTTP API. */
  api(path: string, options: RequestOptions = {}): Promise<Answer> {
    const answer = this.machine.send(`${this.#server.url}${path}`, { timeoutMs: 30_000, ...options });
    return described(options.method ?? 'GET', path, answer);
  }

  /** Resolves when the session can be used. */
  async login(wish: { readonly role?: string; readonly period?: string } = {}): Promise<Entry> {
    const { status, body } = await this.api('/api/v1alpha1/login', {
      method: 'POST',
      headers: { prefer: 'wait=20', 'content-type': 'application/json' },
      body: JSON.stringify(wish),
    });
    if (status !== 200) throw new Error(`${this.machine.hostname} cannot log in: ${status} ${body}`);
    return this.entry((JSON.parse(body) as { session: string }).session); // a login's answer, says 200
  }

  async entry(session: string): Promise<Entry> {
    const { status, body } = await this.api(`/api/v1alpha1/kubeconfig?mode=proxy&session=${session}`, {
      headers: { accept: 'application/json' },
    });
    if (status !== 200) throw new Error(`no kubeconfig of ${session}: ${status} ${body}`);
    const { clusters, users } = JSON.parse(body) as Kubeconfig; // says 200
    const [{ cluster } = noCluster, { user } = noUser] = [clusters[0], users[0]];
    writeFileSync(this.caFile, Buffer.from(cluster['certificate-authority-data'], 'base64'));
    return { session, token: user.token, url: cluster.server };
  }

  async logout(session?: string): Promise<void> {
    const { status, body } = await this.api('/api/v1alpha1/logout', {
      method: 'POST',
      ...(session === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ session }) }),
    });
    if (status !== 200) throw new Error(`cannot log out: ${status} ${body}`);
  }

  /** On a connection of its own. `headers` replace the token. */
  ask(entry: Entry, path: string, options: RequestOptions = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${entry.token}` };
    return this.machine.send(`${entry.url}${path}`, { caFile: this.caFile, timeoutMs: 30_000, headers, ...options });
  }

  /** A TLS connection to the server. */
  async connect(): Promise<TLSSocket> {
    const { dnsName } = this.#server;
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
    const socket = tlsConnect({
      socket: await this.machine.connect(dnsName, 443),
      servername: dnsName,
      ca: readFileSync(this.caFile),
    });
    socket.once('error', reject).once('secureConnect', () => resolve(socket));
    return promise;
  }

  /** Sends exactly these bytes and resolves with all that comes back, also where it is hung up on. */
  async bytes(sent: string): Promise<string> {
    const socket = await this.connect();
    const { promise, resolve } = Promise.withResolvers<string>();
    let received = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
    socket.on('error', () => undefined).once('close', () => resolve(received));
    socket.write(sent, 'latin1');
    return promise;
  }

  /** Resolves when the answer has begun; rejects with it unless it is 200. */
  async watch(entry: Entry, path: string): Promise<Watch> {
    return new Watch(await this.#begin(entry, path));
  }

  /** The same; nothing of the body is read before `rest`. */
  async read(entry: Entry, path: string): Promise<{ rest(): Promise<string> }> {
    const response = await this.#begin(entry, path);
    return { rest: () => text(response) };
  }

  async #begin(entry: Entry, path: string): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const socket = await this.connect();
    const asked = request(`${entry.url}${path}`, {
      headers: { authorization: `Bearer ${entry.token}`, accept: 'application/json' },
      createConnection: () => socket,
      // Whatever goes silent for good ends with the test that asked.
      signal: AbortSignal.timeout(90_000),
    });
    asked.once('error', reject);
    asked.once('response', (response) => {
      if (response.statusCode === 200) resolve(response);
      else text(response).then((body) => reject(new Error(`${response.statusCode} ${body}`)), reject);
    });
    asked.end();
    return promise;
  }
}

interface Kubeconfig {
  readonly clusters: readonly { readonly cluster: Cluster }[];
  readonly users: readonly { readonly user: { readonly token: string } }[];
}
interface Cluster {
  readonly server: string;
  readonly 'certificate-authority-data': string;
}
const noCluster = { cluster: { server: '', 'certificate-authority-data': '' } };
const noUser = { user: { token: '' } };
