/** Counts the calls of logins under way: while there are any, background work uses fewer slots. */
export interface Logins {
  /** How many sessions that no caller waits for may be processed at once. */
  backgroundSlots(slots: { readonly usually: number; readonly whileLoggingIn: number }): number;
  run<T>(call: () => Promise<T>): Promise<T>;
}

export function createLogins(): Logins {
  let underWay = 0;
  return {
    backgroundSlots: ({ usually, whileLoggingIn }) => (underWay > 0 ? whileLoggingIn : usually),
    async run(call) {
      underWay += 1;
      try {
        return await call();
      } finally {
        underWay -= 1;
      }
    },
  };
}
