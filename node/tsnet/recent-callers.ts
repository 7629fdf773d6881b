/**
 * The addresses that called last, the latest last: whom the next engine makes itself known to.
 */
const REMEMBERED = 64;

export class RecentCallers {
  readonly #addresses = new Set<string>();

  get addresses(): string[] {
    return [...this.#addresses];
  }

  note(address: string): void {
    this.#addresses.delete(address);
    this.#addresses.add(address);
    for (const oldest of this.#addresses) {
      if (this.#addresses.size <= REMEMBERED) break;
      this.#addresses.delete(oldest);
    }
  }
}
