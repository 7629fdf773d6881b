/**
 * Questions to the person in front of a running screen: what `Interaction` asks waits here until the screen has drawn it
 * (components/question.tsx) and the person has answered. One question at a time, in the order of asking.
 *
 * Loads neither React nor Ink, so that a login can begin while they load.
 */
import type { Choice, Interaction, Question } from '../terminal/interaction.ts';

/** A question that waits for its answer; each can be answered once. */
export type Asked =
  | { readonly kind: 'confirm'; readonly question: Question; readonly answer: (isConfirmed: boolean) => void }
  | {
      readonly kind: 'choose';
      readonly question: Question;
      readonly choices: readonly Choice[];
      /** Undefined: none of them. */
      readonly answer: (index: number | undefined) => void;
    };

export interface InkInteraction {
  readonly interaction: Interaction;
  /** What is to be drawn. */
  readonly current: () => Asked | undefined;
  /** Calls back whenever `current` changes, until the function it returns is called. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Rejects what is asked, now and later, with the reason. */
  readonly close: (reason: Error) => void;
}

export function createInkInteraction(): InkInteraction {
  const waiting: { readonly asked: Asked; readonly reject: (reason: Error) => void }[] = [];
  const listeners = new Set<() => void>();
  let closed: Error | undefined;
  const changed = (): void => {
    for (const listener of listeners) listener();
  };

  const ask = <T>(make: (answer: (value: T) => void) => Asked): Promise<T> => {
    if (closed !== undefined) return Promise.reject(closed);
    return new Promise<T>((resolve, reject) => {
      const asked = make((value) => {
        const at = waiting.findIndex((one) => one.asked === asked);
        if (at === -1) return;
        waiting.splice(at, 1);
        resolve(value);
        changed();
      });
      waiting.push({ asked, reject });
      changed();
    });
  };

  return {
    interaction: {
      confirm: (question) => ask<boolean>((answer) => ({ kind: 'confirm', question, answer })),
      choose: (question, choices) =>
        ask<number | undefined>((answer) => ({ kind: 'choose', question, choices, answer })),
    },
    current: () => waiting[0]?.asked,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close(reason) {
      closed ??= reason;
      for (const { reject } of waiting.splice(0)) reject(reason);
      changed();
    },
  };
}
