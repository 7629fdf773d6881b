/** Counts the calls of logins under way: while there are any, background work uses fewer slots. */
export interface Logins {
  readonly underWay: number;
  run<T>(call: () => Promise<T>): Promise<T>;
}

export function createLogins(): Logins {
  let underWay = 0;
  return {
    get underWay() {
      return underWay;
    },
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
