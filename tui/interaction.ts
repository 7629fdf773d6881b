/**
 * Questions to the person at the terminal. Whoever has no terminal has no Interaction, so nothing is ever agreed to by a
 * script: code that needs an answer takes `Interaction | undefined` and refuses where it is undefined.
 */
import type { Runtime } from './runtime.ts';

export interface Interaction {
  /** False unless the person says yes. Rejects with Interrupted on Ctrl-C. */
  confirm(question: Question): Promise<boolean>;
  /** The index of the choice; undefined where the person wants none. */
  choose(question: Question, choices: readonly Choice[]): Promise<number | undefined>;
}

export interface Question {
  readonly title: string;
  /** Lines in between, printable already. */
  readonly details?: readonly string[];
}

export interface Choice {
  readonly label: string;
  readonly hint?: string;
}

/** Plain lines on stderr and stdin; undefined where there is no terminal, in CI, and with --non-interactive. */
export function plainInteraction(
  _runtime: Runtime,
  _flags: { readonly nonInteractive?: boolean | undefined },
): Interaction | undefined {
  throw new Error('not written yet');
}
