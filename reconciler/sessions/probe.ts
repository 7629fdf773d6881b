/**
 * Which access to ask the API server about to see that a role is in effect: one that a rule of the role allows. A binding grants
 * all its rules or none, so one is enough, unless everyone has it anyway.
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
  // A RoleBinding grants no access to paths: such a role cannot be probed in a namespace.
  if (namespaces !== undefined) return [];
  const path = rules.map(pathOf).find((attributes) => attributes !== undefined);
  return path === undefined ? [] : [{ nonResourceAttributes: path }];
}

/** Everyone may create reviews about themselves. */
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
