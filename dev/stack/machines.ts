/**
 * The users' machines of one stack: each under a name of its own on the tailnet, however alike their users are called.
 */
import type { Headscale } from './headscale.ts';
import { hostnameOf, Machine } from './machine.ts';
import type { MachineOptions } from './machine.ts';

export interface MachinesDependencies extends Pick<
  MachineOptions,
  'processes' | 'tailscale' | 'tailscaled' | 'caFile'
> {
  readonly headscale: Headscale;
}

export class Machines {
  readonly #deps: MachinesDependencies;
  readonly #byUser = new Map<string, Machine>();
  /** Second machines of a user included. */
  readonly #all: Machine[] = [];
  readonly #hostnames = new Set<string>();

  constructor(deps: MachinesDependencies) {
    this.#deps = deps;
  }

  /** By login name or tag, the first machine of each. */
  get byUser(): ReadonlyMap<string, Machine> {
    return this.#byUser;
  }

  async add(user: string, signal?: AbortSignal): Promise<Machine> {
    const { headscale, ...parts } = this.#deps;
    const hostname = hostnameOf(user, this.#hostnames);
    this.#hostnames.add(hostname);
    const authKey = await headscale.authKey({ owner: user });
    const machine = await Machine.start({ ...parts, controlUrl: headscale.url, hostname, authKey, signal });
    this.#all.push(machine);
    if (!this.#byUser.has(user)) this.#byUser.set(user, machine);
    return machine;
  }

  /** Resolves when each of them can connect to the peer. */
  async reach(ip: string, port: number, signal?: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((machine) => machine.reaches(ip, port, signal)));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((machine) => machine.close()));
  }
}
