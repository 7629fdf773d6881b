/**
 * What `InkInteraction` asks, drawn; nothing where it asks nothing.
 *
 * Keys count only once a question has been there for a moment: what was typed ahead, before anybody could read it, must not
 * be the answer.
 */
import { useEffect, useState, useSyncExternalStore, type ReactNode } from 'react';
import type { Asked, InkInteraction } from '../hooks/ink-interaction.ts';
import { Choice } from './choice.tsx';
import { Consent } from './consent.tsx';

export interface QuestionProps {
  readonly interaction: InkInteraction;
  /** Default: 300. */
  readonly graceMs?: number;
}

export function Question({ interaction, graceMs = 300 }: QuestionProps): ReactNode {
  const asked = useSyncExternalStore(interaction.subscribe, interaction.current);
  // A key of its own for each question, so that none begins with the last one's selection, or without its moment.
  return asked === undefined ? null : <Drawn key={keyOf(asked)} asked={asked} graceMs={graceMs} />;
}

function Drawn({ asked, graceMs }: { readonly asked: Asked; readonly graceMs: number }): ReactNode {
  const [isActive, setIsActive] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsActive(true), graceMs);
    return () => clearTimeout(timer);
  }, [graceMs]);
  if (asked.kind === 'confirm') {
    return <Consent question={asked.question} onAnswer={asked.answer} isActive={isActive} />;
  }
  const { question, choices, answer } = asked;
  return <Choice {...{ question, choices, isActive }} onChoose={answer} onCancel={() => answer(undefined)} />;
}

function keyOf({ kind, question }: Asked): string {
  return JSON.stringify([kind, question.title, question.details]);
}
