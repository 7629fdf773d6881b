/**
 * What a check of `tka doctor` is: a question about one thing, its answer in a line, and what to do about it. A check that
 * hangs on what another found broken is skipped, so that each fault is told once.
 */
import { type ExitCode, exitCodes, UserError } from '../errors.ts';
import type { Facts } from './facts.ts';

export interface Check {
  /** One word, or two; what the line begins with. */
  readonly name: string;
  /** UserErrors that it throws are failures, with their advice as the remedy. */
  readonly run: (facts: Facts) => Promise<Finding>;
}

export type Finding =
  | { readonly state: 'ok' | 'skipped'; readonly finding: string }
  | {
      readonly state: 'warning' | 'failed';
      readonly finding: string;
      readonly remedy: readonly string[];
      /** Of the command, for a failure; default: 1. */
      readonly exitCode?: ExitCode;
    };

export const ok = (finding: string): Finding => ({ state: 'ok', finding });
export const skipped = (finding: string): Finding => ({ state: 'skipped', finding });
export const warning = (finding: string, ...remedy: readonly string[]): Finding => ({
  state: 'warning',
  finding,
  remedy,
});
export const failed = (finding: string, remedy: readonly string[], exitCode?: ExitCode): Finding => ({
  state: 'failed',
  finding,
  remedy,
  ...(exitCode === undefined ? {} : { exitCode }),
});

export async function examine({ run }: Check, facts: Facts): Promise<Finding> {
  try {
    return await run(facts);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // The arguments are not what is wrong here.
    const exitCode = error.exitCode === exitCodes.usage ? exitCodes.error : error.exitCode;
    return failed(error.message, error.advice, exitCode);
  }
}

/** Undefined if it could not be determined; the responsible check reports that. */
export async function ifKnown<T>(fact: Promise<T>): Promise<T | undefined> {
  try {
    return await fact;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
