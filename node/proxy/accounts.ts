/**
 * What is left to do about requests that are over, done after what others wait for: the end of one request and the question about
 * the next arrive together as a rule, and nobody waits for a line of audit.
 */
export interface Accounts<T> {
  add(account: T): void;
  /** Does at once what is left. */
  settle(): void;
}

/** `settle` gets each account once, in order, in this turn of the event loop still. */
export function createAccounts<T>(settle: (account: T) => void): Accounts<T> {
  const open: T[] = [];
  const settleAll = (): void => {
    // One that fails is not met again.
    while (open.length > 0) settle(open.shift() as T);
  };
  return {
    add(account) {
      if (open.push(account) === 1) setImmediate(settleAll);
    },
    settle: settleAll,
  };
}
