/**
 * Checks the objects of tka's installation at the API server: whether each exists, and whether the admission policies still deny. A
 * policy that is bound without Deny, or fails open, is as good as absent.
 */
import * as z from 'zod';
import { ForbiddenError } from '../../reconciler/errors.ts';
import { reinstall } from '../../reconciler/kubernetes/installation.ts';

export interface ObjectApi {
  /** The object at this path of the API; undefined where none exists. */
  object(path: string, signal: AbortSignal): Promise<unknown>;
}

/** What each policy must match to protect anything, and whether its own manifest limits it to some namespaces. */
const policies = [
  { name: 'tka-signins', resources: ['tkasignins', 'tkasignins/status'], isLimited: false },
  {
    name: 'tka-credentials',
    resources: ['serviceaccounts', 'serviceaccounts/token', 'secrets', 'pods'],
    isLimited: true,
  },
  { name: 'tka-bindings', resources: ['rolebindings', 'clusterrolebindings'], isLimited: false },
  { name: 'tka-sessions', resources: ['pods', 'pods/exec', 'secrets', 'rolebindings'], isLimited: false },
  { name: 'tka-server', resources: ['pods', 'pods/exec', 'secrets', 'statefulsets'], isLimited: true },
] as const;
type Policy = (typeof policies)[number];

const crd = 'tkasignins.tka.specht-labs.de';
const admission = '/apis/admissionregistration.k8s.io/v1';

interface Wanted {
  readonly path: string;
  readonly what: string;
  /** As kubectl names it; set with `fault`. */
  readonly kind?: string;
  /** Why an existing object does not serve its purpose. */
  readonly fault?: (object: unknown) => string | undefined;
}

/** Each missing object in one sentence, with the remedy. */
export async function missingObjects(
  api: ObjectApi,
  sessionsNamespace: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const wanted: readonly Wanted[] = [
    {
      path: `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd}`,
      what: `the CustomResourceDefinition ${crd}`,
    },
    { path: `/api/v1/namespaces/${sessionsNamespace}`, what: `the namespace ${sessionsNamespace}` },
    ...policies.flatMap((wants): readonly Wanted[] => {
      const { name } = wants;
      return [
        {
          path: `${admission}/validatingadmissionpolicies/${name}`,
          what: `the admission policy ${name}`,
          kind: 'validatingadmissionpolicy',
          fault: (object) => policyFault(object, wants),
        },
        {
          path: `${admission}/validatingadmissionpolicybindings/${name}`,
          what: `the binding of the admission policy ${name}`,
          kind: 'validatingadmissionpolicybinding',
          fault: (object) => bindingFault(object, name),
        },
      ];
    }),
  ];
  const answers = await Promise.all(
    wanted.map(async ({ path, what, kind = '', fault }) => {
      try {
        const object = await api.object(path, signal);
        if (object === undefined) return `${what} is not installed: ${reinstall}`;
        const wrong = fault?.(object);
        if (wrong === undefined) return undefined;
        // kubectl apply and helm upgrade keep what another program added to an object.
        return `${what} ${wrong}: delete it (kubectl delete ${kind} ${path.split('/').at(-1)}), then ${reinstall}`;
      } catch (error) {
        if (!(error instanceof ForbiddenError)) throw error;
        return `tka may not get ${what}: its rights are in manifests/cluster/rbac.yaml; ${reinstall}`;
      }
    }),
  );
  return answers.filter((problem) => problem !== undefined);
}

const expressions = z.array(z.looseObject({ expression: z.string().optional() })).default([]);
const matching = z.looseObject({
  resourceRules: z.array(z.looseObject({ resources: z.array(z.string()).default([]) })).default([]),
});
const policy = z.object({
  spec: z.object({
    failurePolicy: z.string().default('Fail'),
    validations: expressions,
    matchConditions: expressions,
    matchConstraints: matching.optional(),
  }),
});

function policyFault(object: unknown, { resources, isLimited }: Policy): string | undefined {
  const { success, data } = policy.safeParse(object);
  if (!success) return 'is not one that can be read';
  const { failurePolicy, validations, matchConditions, matchConstraints } = data.spec;
  if (failurePolicy !== 'Fail')
    return `was changed: its failurePolicy is ${failurePolicy}, so that it lets everything through when it fails`;
  if (validations.length === 0) return 'was changed: it has no validations';
  if (validations.every(({ expression }) => expression?.trim() === 'true'))
    return 'was changed: its validations allow everything';
  if (matchConditions.some(({ expression }) => expression?.trim() === 'false'))
    return 'was changed: one of its matchConditions is always false';
  const matched = (matchConstraints?.resourceRules ?? []).flatMap((rule) => rule.resources);
  if (matched.length === 0) return 'was changed: it matches no resources';
  const missed = resources.filter((resource) => !matchesResource(matched, resource));
  if (missed.length > 0) return `was changed: it does not match ${missed.join(', ')}`;
  const narrowing = ['objectSelector', 'excludeResourceRules', ...(isLimited ? [] : ['namespaceSelector'])];
  return narrows(matchConstraints, narrowing) ? 'was changed: its matchConstraints leave something out' : undefined;
}

function matchesResource(matched: readonly string[], resource: string): boolean {
  return matched.includes(resource) || matched.includes('*/*') || (matched.includes('*') && !resource.includes('/'));
}

const binding = z.object({
  spec: z.object({
    policyName: z.string().default(''),
    validationActions: z.array(z.string()).default([]),
    matchResources: z.record(z.string(), z.unknown()).optional(),
  }),
});

function bindingFault(object: unknown, name: string): string | undefined {
  const { success, data } = binding.safeParse(object);
  if (!success) return 'is not one that can be read';
  const { policyName, validationActions, matchResources = {} } = data.spec;
  if (policyName !== name) return `was changed: it is of the policy ${policyName || '(none)'}`;
  if (!validationActions.includes('Deny'))
    return `was changed: its validationActions are ${validationActions.join(', ') || 'none'}, without Deny`;
  const narrowing = ['namespaceSelector', 'objectSelector', 'resourceRules', 'excludeResourceRules'];
  return narrows(matchResources, narrowing) ? 'was changed: its matchResources leave something out' : undefined;
}

/** The API server writes matchPolicy and empty selectors by itself. */
function narrows(match: Readonly<Record<string, unknown>> = {}, fields: readonly string[]): boolean {
  return fields.some((field) => {
    const value = match[field];
    return Array.isArray(value)
      ? value.length > 0
      : typeof value === 'object' && value !== null && Object.keys(value).length > 0;
  });
}
