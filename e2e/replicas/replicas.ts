/** The replicas of a stack as an operator sees them: who leads, by their own metrics; and logins that go to whichever answers. */
import type { Machine } from '../../dev/stack/machine.ts';
import { send } from '../../dev/stack/send.ts';
import type { Stack } from '../../dev/stack/stack.ts';
import type { Settings, TkaServer } from '../../dev/stack/tka-server.ts';
import { GiveUpError, until } from '../../dev/stack/until.ts';

export class Replicas {
  readonly #stack: Stack;
  readonly #config: Settings;

  /** `config`: what every server is started with. */
  constructor(stack: Stack, config: Settings) {
    this.#stack = stack;
    this.#config = config;
  }

  async start(server: TkaServer, config: Settings = {}): Promise<void> {
    await this.#stack.startServer(server, { config: { ...this.#config, ...config } });
  }

  async isLeading(server: TkaServer): Promise<boolean> {
    if (!server.isRunning) return false;
    const { body } = await send(`${server.health}/metrics`);
    return /^tka_leader 1$/m.test(body);
  }

  /** Resolves when one of them leads, alone. */
  async leader(timeoutMs = 15_000): Promise<{ readonly leader: TkaServer; readonly other: TkaServer }> {
    return until(
      async () => {
        const [a, b] = this.#stack.servers;
        if (a === undefined || b === undefined) throw new GiveUpError('there are no two servers');
        const [first, second] = await Promise.all([this.isLeading(a), this.isLeading(b)]);
        if (first === second) return undefined;
        return first ? { leader: a, other: b } : { leader: b, other: a };
      },
      { what: 'one leader', timeoutMs },
    );
  }

  async leads(server: TkaServer, timeoutMs: number): Promise<boolean> {
    return until(() => this.isLeading(server), { what: `${server.hostname} to lead`, timeoutMs, everyMs: 20 });
  }

  /** Starts what was stopped or killed. */
  async startAll(): Promise<void> {
    await Promise.all(
      this.#stack.servers.map(async (server) => {
        if (!server.isRunning) await this.start(server);
      }),
    );
  }

  /** The session's name. To another server whenever one does not answer or is not done, as the command does it. */
  async logIn(machine: Machine, role: string, first: TkaServer): Promise<string> {
    const { servers } = this.#stack;
    let next = servers.indexOf(first);
    return until(
      async () => {
        const server = servers[next % servers.length];
        next += 1;
        if (server === undefined) throw new GiveUpError('there is no server');
        const { status, body } = await machine.send(`${server.url}/api/v1alpha1/login`, {
          method: 'POST',
          headers: { prefer: 'wait=10', 'content-type': 'application/json' },
          body: JSON.stringify({ role }),
          timeoutMs: 15_000,
        });
        if (status !== 200 && status !== 202 && status < 500 && status !== 429)
          throw new GiveUpError(`${machine.hostname} as ${role}: ${status} ${body}`);
        // A login's answer, says 200.
        return status === 200 ? (JSON.parse(body) as { readonly session: string }).session : undefined;
      },
      { what: `a login of ${machine.hostname} as ${role}`, timeoutMs: 150_000, everyMs: 200 },
    );
  }

  /** Everything that the installation's sessions consist of, by kind; a session that is not ready counts apart. */
  async objects(): Promise<Readonly<Record<string, number>>> {
    const kinds = 'tkasignins,serviceaccounts,clusterrolebindings,rolebindings';
    const selector = 'app.kubernetes.io/managed-by=tka';
    const { stdout } = await this.#stack.kubectl(['get', kinds, '-A', '-l', selector, '-o', 'json']);
    // A List, says -o json.
    const { items } = JSON.parse(stdout) as { readonly items: readonly Found[] };
    const isReady = ({ status }: Found): boolean =>
      status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;
    const groups = Map.groupBy(items, (item) =>
      item.kind === 'TkaSignin' ? (isReady(item) ? 'ready TkaSignin' : 'TkaSignin') : item.kind,
    );
    return Object.fromEntries([...groups].map(([kind, all]) => [kind, all.length]));
  }
}

interface Found {
  readonly kind: string;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
