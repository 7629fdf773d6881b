/**
 * Access in RBAC's words: what tka needs at the API server, and whether a rule allows it.
 */
/** The shape of a SelfSubjectAccessReview's attributes. */
export interface Access {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

/** The shape of a rule in a SelfSubjectRulesReview. */
export interface AccessRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** tka's own namespace in the manifests. */
export const ownNamespace = 'tka-system';
/** Where replicas elect their leader. */
export const electionLease = { namespace: ownNamespace, name: 'tka' } as const;

/** "create serviceaccounts/token in namespace tka-sessions": RBAC's own words. */
export function describeAccess({ verb, group, resource, subresource, namespace, name }: Access): string {
  const object = `${resource}${subresource === undefined ? '' : `/${subresource}`}${group === '' ? '' : `.${group}`}`;
  const named = name === undefined ? '' : ` ${name}`;
  return `${verb} ${object}${named}${namespace === undefined ? ' in the whole cluster' : ` in namespace ${namespace}`}`;
}

/** What the Role and the ClusterRole of manifests/cluster/rbac.yaml give, less what only the checks here need. */
export function neededAccess(sessionsNamespace: string): readonly Access[] {
  const inSessions = (
    group: string,
    resource: string,
    verbs: readonly string[],
    subresource?: string,
  ): readonly Access[] =>
    verbs.map((verb) => ({
      verb,
      group,
      resource,
      namespace: sessionsNamespace,
      ...(subresource === undefined ? {} : { subresource }),
    }));
  const everywhere = (group: string, resource: string, verbs: readonly string[]): readonly Access[] =>
    verbs.map((verb) => ({ verb, group, resource }));
  return [
    ...inSessions('tka.specht-labs.de', 'tkasignins', ['get', 'list', 'watch', 'create', 'patch', 'delete']),
    ...inSessions('tka.specht-labs.de', 'tkasignins', ['patch'], 'status'),
    ...inSessions('', 'serviceaccounts', ['get', 'list', 'watch', 'create', 'delete']),
    ...inSessions('', 'serviceaccounts', ['create'], 'token'),
    ...inSessions('', 'events', ['create', 'patch']),
    ...everywhere('rbac.authorization.k8s.io', 'clusterrolebindings', ['get', 'list', 'watch', 'create', 'delete']),
    ...everywhere('rbac.authorization.k8s.io', 'rolebindings', ['get', 'list', 'watch', 'create', 'delete']),
    ...everywhere('tka.specht-labs.de', 'tkasignins', ['get', 'list', 'watch', 'patch']),
    ...everywhere('', 'namespaces', ['get']),
  ];
}

const leases = { group: 'coordination.k8s.io', resource: 'leases', namespace: electionLease.namespace } as const;
/** RBAC cannot give `create` by name. */
export const electionAccess: readonly Access[] = [
  { ...leases, verb: 'create' },
  { ...leases, verb: 'get', name: electionLease.name },
  { ...leases, verb: 'patch', name: electionLease.name },
];

export function allows(rule: AccessRule, { verb, group, resource, subresource, name }: Access): boolean {
  const has = (values: readonly string[] | undefined, value: string): boolean =>
    values?.includes(value) === true || values?.includes('*') === true;
  const names = rule.resourceNames ?? [];
  return (
    has(rule.verbs, verb) &&
    has(rule.apiGroups, group) &&
    has(rule.resources, subresource === undefined ? resource : `${resource}/${subresource}`) &&
    (names.length === 0 || (name !== undefined && names.includes(name)))
  );
}
