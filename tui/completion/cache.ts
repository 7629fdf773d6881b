/**
 * Answers of servers, cached for the next key: `$XDG_CACHE_HOME/tka/completion`, for the user alone. A Tab waits at
 * most `limitMs`, and after a failure not again for a while.
 */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '../files/atomic-write.ts';
import { cacheDirectory, isOurs } from '../files/directories.ts';
import { fieldsOf } from '../files/json.ts';
import { makeDirectories } from '../files/make-directory.ts';
import type { Runtime } from '../runtime.ts';

export interface CachedAnswerOptions {
  /** What the answer is an answer to. */
  readonly question: readonly unknown[];
  readonly limitMs?: number;
  readonly ask: (signal: AbortSignal) => Promise<readonly string[]>;
}

/** Never rejects. An answer is good for five minutes, and then better than none. */
export async function cachedAnswer(
  runtime: Pick<Runtime, 'env' | 'now' | 'signal'>,
  { question, limitMs = 1000, ask }: CachedAnswerOptions,
): Promise<readonly string[]> {
  const path = cachedAnswerPath(runtime.env, question);
  const before = read(path);
  const age = runtime.now().getTime() - (before?.at ?? Number.NEGATIVE_INFINITY);
  if (before !== undefined && age >= 0 && age < (before.isAnswer ? freshMs : patienceMs)) return before.values;
  // The limit counts even where the asking does not heed its signal.
  const limit = AbortSignal.any([runtime.signal, AbortSignal.timeout(limitMs)]);
  const late = Promise.withResolvers<undefined>();
  limit.addEventListener('abort', () => late.resolve(undefined), { once: true });
  const values = await Promise.race([ask(limit).catch(() => undefined), late.promise]);
  const answer = {
    at: runtime.now().getTime(),
    isAnswer: values !== undefined,
    values: values ?? before?.values ?? [],
  };
  try {
    makeDirectories(dirname(path));
    // Others could put a link there that leads to a file of the user's.
    if (isOurs(cacheDirectory(runtime.env))) writeFileAtomically(path, JSON.stringify(answer));
  } catch {
    // The next one asks again.
  }
  return answer.values;
}

export function cachedAnswerPath(env: Runtime['env'], question: readonly unknown[]): string {
  const name = createHash('sha256').update(JSON.stringify(question)).digest('hex').slice(0, 24);
  return join(cacheDirectory(env), 'completion', `${name}.json`);
}

const freshMs = 5 * 60_000;
const patienceMs = 20_000;
const maxBytes = 256 * 1024;

interface Answer {
  readonly at: number;
  readonly isAnswer: boolean;
  readonly values: readonly string[];
}

function read(path: string): Answer | undefined {
  try {
    if (statSync(path).size > maxBytes) return undefined;
    const answer: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isAnswer(answer) ? answer : undefined;
  } catch {
    return undefined;
  }
}

function isAnswer(value: unknown): value is Answer {
  const { at, isAnswer, values } = fieldsOf(value);
  return (
    typeof at === 'number' &&
    typeof isAnswer === 'boolean' &&
    Array.isArray(values) &&
    values.every((one) => typeof one === 'string')
  );
}
