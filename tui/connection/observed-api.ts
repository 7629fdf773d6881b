/** An API whose calls are observed: slow calls are reported, the first answer is noticed, and failures are explained. */
import type { Api } from '../api/api.ts';
import { NotTkaError } from '../api/answer.ts';
import { UnreachableError, type UserError } from '../errors.ts';

/** Longer than an answer takes, shorter than a person thinks that nothing happens. */
const silentMs = 2000;

export interface Observer {
  /** A call takes long; of calls that wait together, one. */
  readonly onWait: () => void;
  readonly onAnswer: () => void;
  readonly explain: (error: UnreachableError) => Promise<UnreachableError>;
  /** The server has no such call, or is not a tka server. */
  readonly explainAbsent: (error: NotTkaError) => Promise<UserError>;
}

export function observeApi(api: Api, { onWait, onAnswer, explain, explainAbsent }: Observer): Api {
  let hasTold = false;
  const tell = (): void => {
    if (!hasTold) onWait();
    hasTold = true;
  };
  const watch = async (answer: Promise<unknown>): Promise<unknown> => {
    const timer = setTimeout(tell, silentMs);
    try {
      const value = await answer;
      hasTold = false;
      onAnswer();
      return value;
    } catch (error) {
      if (error instanceof NotTkaError && error.status === 404) throw await explainAbsent(error);
      throw error instanceof UnreachableError ? await explain(error) : error;
    } finally {
      clearTimeout(timer);
    }
  };
  const methods = Object.entries(api).map(([name, method]: [string, (...args: unknown[]) => unknown]) => [
    name,
    (...args: unknown[]) => {
      const result = method(...args);
      return result instanceof Promise ? watch(result) : result;
    },
  ]);
  // The same methods with the same arguments and answers.
  return Object.fromEntries(methods) as Api;
}
