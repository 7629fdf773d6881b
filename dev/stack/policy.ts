/**
 * The tailnet policy of a stack without `--policy`: who may have which role for how long.
 */

export const capability = 'specht-labs.de/cap/tka';
export const serverTag = 'tag:tka';

/** One rule of a capability grant. Tests write broken ones too, hence the loose values. */
export type Rule = Readonly<Record<string, unknown>>;

/** What a headscale policy file holds, as far as stacks use it. */
export interface Policy {
  readonly tagOwners: Readonly<Record<string, readonly string[]>>;
  readonly groups?: Readonly<Record<string, readonly string[]>>;
  readonly grants: readonly {
    readonly src: readonly string[];
    readonly dst: readonly string[];
    readonly ip?: readonly string[];
    readonly app?: Readonly<Record<string, readonly Rule[]>>;
  }[];
}

/** Everybody in it exists only as a name: it owns the tags, and is no user's machine. */
export const operator = 'operator@example.com';

const defaultRules: Readonly<Record<string, readonly Rule[]>> = {
  'alice@example.com': [{ role: 'cluster-admin', period: '8h', priority: 100 }],
  'bob@example.com': [{ role: 'view', period: '1h', priority: 10 }],
  'tag:ci': [{ role: 'edit', period: '30m', priority: 10, namespaces: ['default'] }],
};

/** Machines of a stack where none are asked for. Carol may do nothing. */
export const defaultUsers: readonly string[] = ['alice@example.com', 'bob@example.com', 'carol@example.com'];

/** Everybody reaches everybody; the rules of each source are its own grant. */
export function policyOf(rules: Readonly<Record<string, readonly Rule[]>> = defaultRules): Policy {
  const tags = [serverTag, 'tag:ci', ...Object.keys(rules).filter((source) => source.startsWith('tag:'))];
  return {
    tagOwners: Object.fromEntries(tags.map((tag) => [tag, [operator]])),
    grants: [
      { src: ['*'], dst: ['*'], ip: ['*'] },
      ...Object.entries(rules).map(([source, granted]) => ({
        src: [source],
        dst: [serverTag],
        app: { [capability]: granted },
      })),
    ],
  };
}

/** Every user that a policy names: the control server refuses a policy with an unknown user. */
export function peopleIn(policyText: string): string[] {
  const names = [...policyText.matchAll(/"([^"\s:]+@[^"\s]*)"/g)].map(([, name = '']) => name.replace(/@$/, ''));
  return [...new Set(names)].sort();
}

export function policyText(policy: Policy): string {
  return `${JSON.stringify(policy, undefined, 2)}\n`;
}
