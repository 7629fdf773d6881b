/**
 * Which question to ask the API server to see that a role works: one access that a rule of the role allows. A binding
 * gives all its rules or none, so one is enough, if it is not one that everybody has anyway.
 */
import type {
  V1NonResourceAttributes,
  V1PolicyRule,
  V1ResourceAttributes,
  V1SelfSubjectAccessReviewSpec,
} from '@kubernetes/client-node';

/** The questions, all of which must be answered yes; none for a role without rules. */
export function probesFor(
  rules: readonly V1PolicyRule[],
  namespaces: readonly string[] | undefined,
): readonly V1SelfSubjectAccessReviewSpec[] {
  const resource = rules.map(resourceOf).find((attributes) => attributes !== undefined);
  if (resource !== undefined) {
    if (namespaces === undefined) return [{ resourceAttributes: resource }];
    return namespaces.map((namespace) => ({ resourceAttributes: Object.assign({ namespace }, resource) }));
  }
  // A RoleBinding gives no access to paths: nothing of such a role can be seen in a namespace.
  if (namespaces !== undefined) return [];
  const path = rules.map(pathOf).find((attributes) => attributes !== undefined);
  return path === undefined ? [] : [{ nonResourceAttributes: path }];
}

/** Reviews about oneself are allowed to everybody. */
const everybodys = new Set(['authentication.k8s.io', 'authorization.k8s.io']);

function resourceOf(rule: V1PolicyRule): V1ResourceAttributes | undefined {
  const verb = rule.verbs[0];
  const group = rule.apiGroups?.find((candidate) => !everybodys.has(candidate));
  const named = rule.resources?.[0];
  if (verb === undefined || group === undefined || named === undefined) return undefined;
  const [resource = named, subresource] = named.split('/', 2);
  const name = rule.resourceNames?.[0];
  return {
    verb,
    group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(name === undefined ? {} : { name }),
  };
}

function pathOf(rule: V1PolicyRule): V1NonResourceAttributes | undefined {
  const verb = rule.verbs[0];
  const path = rule.nonResourceURLs?.[0];
  return verb === undefined || path === undefined ? undefined : { verb, path };
}
