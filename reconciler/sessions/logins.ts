/** Counts the calls under way that a login consists of: while there are any, what no caller waits for leaves them room. */
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
