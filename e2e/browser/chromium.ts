/**
 * A real browser without a window, driven over the DevTools protocol. Its pipe is its lifeline: it ends when this process closes
 * it, or is gone. All its connections go through one SOCKS proxy, names unresolved (names.ts), and it takes any certificate:
 * what it would refuse by itself must not be what protects tka.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

/** Path of a browser; undefined where there is none. */
export function findBrowser(path = process.env['PATH'] ?? ''): string | undefined {
  const programs = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];
  const candidates = programs.flatMap((program) => path.split(delimiter).map((dir) => join(dir, program)));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface LaunchOptions {
  readonly program: string;
  /** For its profile. */
  readonly dir: string;
  readonly socksPort: number;
}

/** What DevTools answer and tell, as far as anybody here looks at it. */
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

export class Chromium {
  readonly #commands: Writable;
  readonly #pending = new Map<number, PromiseWithResolvers<Readonly<Record<string, unknown>>>>();
  readonly #listeners = new Map<string, () => void>();
  readonly #exited: Promise<void>;
  #lastId = 0;

  constructor({ program, dir, socksPort }: LaunchOptions) {
    const args = [
      '--headless',
      '--remote-debugging-pipe',
      `--user-data-dir=${dir}`,
      `--proxy-server=socks5://127.0.0.1:${socksPort}`,
      '--proxy-bypass-list=<-loopback>',
      '--ignore-certificate-errors',
      '--disable-features=LocalNetworkAccessChecks',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ];
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    // The two asked for as pipes.
    this.#commands = child.stdio[3] as Writable;
    this.#commands.on('error', () => undefined);
    this.#listen(child.stdio[4] as Readable);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#exited = promise;
    const end = (why: Error): void => {
      for (const { reject } of this.#pending.values()) reject(why);
      this.#pending.clear();
      resolve();
    };
    child.once('error', end).once('exit', (code) => end(new Error(`the browser has ended (${code})`)));
  }

  async newPage(): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId));
    for (const domain of ['Page', 'Network']) await page.send(`${domain}.enable`);
    return page;
  }

  /** A command, to the browser or to one page of it; rejects with what it complains of. */
  send(method: string, params: object = {}, sessionId?: string): Promise<Readonly<Record<string, unknown>>> {
    const id = (this.#lastId += 1);
    const answer = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    this.#pending.set(id, answer);
    this.#commands.write(
      `${JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) })}\0`,
    );
    return answer.promise;
  }

  /** Resolves at the next such event of the page. */
  next(method: string, sessionId: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#listeners.set(`${sessionId} ${method}`, resolve);
    return promise;
  }

  async close(): Promise<void> {
    this.#commands.end();
    await this.#exited;
  }

  #listen(answers: Readable): void {
    let text = '';
    answers.setEncoding('utf8').on('data', (chunk: string) => {
      const messages = `${text}${chunk}`.split('\0');
      text = messages.pop() ?? '';
      for (const message of messages) this.#hear(JSON.parse(message) as Message); // the protocol's
    });
  }

  #hear({ id, method, sessionId, result, error }: Message): void {
    if (id === undefined) {
      const key = `${sessionId} ${method}`;
      this.#listeners.get(key)?.();
      this.#listeners.delete(key);
      return;
    }
    const answer = this.#pending.get(id);
    this.#pending.delete(id);
    if (error === undefined) answer?.resolve(result ?? {});
    else answer?.reject(new Error(error.message));
  }
}

export class Page {
  readonly #browser: Chromium;
  readonly #session: string;

  constructor(browser: Chromium, session: string) {
    this.#browser = browser;
    this.#session = session;
  }

  send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#browser.send(method, params, this.#session);
  }

  /** Resolves when the page and all it shows is loaded; with why not, where it cannot be. */
  async open(url: string): Promise<string | undefined> {
    const loaded = this.loaded();
    const { errorText } = await this.send('Page.navigate', { url });
    if (typeof errorText === 'string') return errorText;
    await loaded;
    return undefined;
  }

  /** Resolves at the next load. */
  loaded(): Promise<void> {
    return this.#browser.next('Page.loadEventFired', this.#session);
  }

  /** What the expression comes to in the page's own world, by JSON; a promise is waited for. */
  async run(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', options);
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { readonly value?: unknown }).value; // a RemoteObject
  }
}
