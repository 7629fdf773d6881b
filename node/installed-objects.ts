/**
 * The objects of tka's installation, at the API server: whether each is there, and whether an admission policy still denies anything. A
 * policy that is bound without Deny, or fails open, is as good as none.
 */
import * as z from 'zod';
import { ForbiddenError } from '../reconciler/errors.ts';
import { reinstall } from '../reconciler/installation.ts';

export interface ObjectApi {
  /** What is at this path of the API; undefined where nothing is. */
  object(path: string, signal: AbortSignal): Promise<unknown>;
}

const policies = ['tka-signins', 'tka-credentials', 'tka-bindings', 'tka-server'];
const crd = 'tkasignins.tka.specht-labs.de';
const admission = '/apis/admissionregistration.k8s.io/v1';

interface Wanted {
  readonly path: string;
  readonly what: string;
  /** Why an object that is there does not do its work. */
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
    ...policies.flatMap((name): readonly Wanted[] => [
      {
        path: `${admission}/validatingadmissionpolicies/${name}`,
        what: `the admission policy ${name}`,
        fault: policyFault,
      },
      {
        path: `${admission}/validatingadmissionpolicybindings/${name}`,
        what: `the binding of the admission policy ${name}`,
        fault: (object) => bindingFault(object, name),
      },
    ]),
  ];
  const answers = await Promise.all(
    wanted.map(async ({ path, what, fault }) => {
      try {
        const object = await api.object(path, signal);
        if (object === undefined) return `${what} is not installed: ${reinstall}`;
        const wrong = fault?.(object);
        return wrong === undefined ? undefined : `${what} ${wrong}: ${reinstall}`;
      } catch (error) {
        if (!(error instanceof ForbiddenError)) throw error;
        return `tka may not get ${what}: its rights are in manifests/cluster/rbac.yaml; ${reinstall}`;
      }
    }),
  );
  return answers.filter((problem) => problem !== undefined);
}

const policy = z.object({
  spec: z.object({
    failurePolicy: z.string().default('Fail'),
    validations: z.array(z.unknown()).default([]),
    matchConstraints: z.object({ resourceRules: z.array(z.unknown()).default([]) }).optional(),
  }),
});

function policyFault(object: unknown): string | undefined {
  const { success, data } = policy.safeParse(object);
  if (!success) return 'is not one that can be read';
  const { failurePolicy, validations, matchConstraints } = data.spec;
  if (failurePolicy !== 'Fail')
    return `was changed: its failurePolicy is ${failurePolicy}, so that it lets everything through when it fails`;
  if (validations.length === 0) return 'was changed: it has no validations';
  if ((matchConstraints?.resourceRules.length ?? 0) === 0) return 'was changed: it matches no resources';
  return undefined;
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
  // The API server writes matchPolicy and empty selectors by itself.
  const narrows = ['namespaceSelector', 'objectSelector', 'resourceRules', 'excludeResourceRules'].some((field) => {
    const value = matchResources[field];
    return Array.isArray(value)
      ? value.length > 0
      : typeof value === 'object' && value !== null && Object.keys(value).length > 0;
  });
  return narrows ? 'was changed: its matchResources leave something out' : undefined;
}
