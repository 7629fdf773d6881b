/**
 * What `InkInteraction` asks, drawn; nothing where it asks nothing.
 */
import { useSyncExternalStore, type ReactNode } from 'react';
import type { Asked, InkInteraction } from '../ink-interaction.ts';
import { Choice } from './choice.tsx';
import { Consent } from './consent.tsx';

export function Question({ interaction }: { readonly interaction: InkInteraction }): ReactNode {
  const asked = useSyncExternalStore(interaction.subscribe, interaction.current);
  // A key of its own for each question, so that none begins with the last one's selection.
  return asked === undefined ? null : <Drawn key={keyOf(asked)} asked={asked} />;
}

function Drawn({ asked }: { readonly asked: Asked }): ReactNode {
  if (asked.kind === 'confirm') return <Consent question={asked.question} onAnswer={asked.answer} />;
  const { question, choices, answer } = asked;
  return <Choice question={question} choices={choices} onChoose={answer} onCancel={() => answer(undefined)} />;
}

function keyOf({ kind, question }: Asked): string {
  return JSON.stringify([kind, question.title, question.details]);
}
