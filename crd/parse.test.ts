/** The CRD, the types and the parser say the same. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { parse } from 'yaml';
import type { Condition } from './conditions.ts';
import { parseTkaSignin } from './parse.ts';
import { group, kind, plural, type TkaSigninSpec, type TkaSigninStatus, version } from './tkasignin.ts';

interface Schema {
  readonly required?: readonly string[];
  readonly properties: Readonly<Record<string, Schema & { readonly items: Schema; readonly pattern?: string }>>;
}
const crd = parse(readFileSync(new URL('tkasignin.yaml', import.meta.url), 'utf8')) as {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string; readonly plural: string; readonly shortNames: readonly string[] };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
};
const schema = crd.spec.versions[0]?.schema.openAPIV3Schema;

// The compiler holds these to the types: a field added there and not here does not compile.
const specFields: Record<keyof TkaSigninSpec, 'required' | 'optional'> = {
  subject: 'required',
  username: 'required',
  role: 'required',
  namespaces: 'optional',
  expiresAt: 'required',
};
const statusFields: Record<keyof TkaSigninStatus, true> = {
  observedGeneration: true,
  conditions: true,
  serviceAccountName: true,
  expiresAt: true,
};
const conditionFields: Record<keyof Condition, true> = {
  type: true,
  status: true,
  reason: true,
  message: true,
  lastTransitionTime: true,
  observedGeneration: true,
};

test('the CRD is the resource that the types name', (t) => {
  t.is(crd.metadata.name, `${plural}.${group}`);
  t.like(crd.spec, { group, names: { kind, plural, shortNames: ['signin'] } });
  t.is(crd.spec.versions[0]?.name, version);
});

test('the CRD has the fields of the types, and requires what they require', (t) => {
  const spec = schema?.properties['spec'];
  t.deepEqual(Object.keys(spec?.properties ?? {}).sort(), Object.keys(specFields).sort());
  const required = Object.entries(specFields).flatMap(([name, is]) => (is === 'required' ? [name] : []));
  t.deepEqual([...(spec?.required ?? [])].sort(), required.sort());
  const status = schema?.properties['status'];
  t.deepEqual(Object.keys(status?.properties ?? {}).sort(), Object.keys(statusFields).sort());
  const conditions = status?.properties['conditions']?.items;
  t.deepEqual(Object.keys(conditions?.properties ?? {}).sort(), Object.keys(conditionFields).sort());
});

test('role names are what the API server takes in a path', (t) => {
  const pattern = new RegExp(schema?.properties['spec']?.properties['role']?.pattern ?? 'x^', 'u');
  for (const good of ['view', 'system:node', 'a.b', '.a', '..a', 'a..', 'Team_X']) t.true(pattern.test(good), good);
  for (const bad of ['', '.', '..', '../x', 'a/b', 'a%2fb', './x']) t.false(pattern.test(bad), bad);
});

const object = {
  apiVersion: 'tka.specht-labs.de/v1alpha1',
  kind: 'TkaSignin',
  metadata: {
    name: 'a',
    namespace: 'b',
    uid: 'c',
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
    managedFields: [{ manager: 'x' }],
  },
  spec: { subject: 'h|user:1', username: 'u', role: 'view', expiresAt: '2026-01-01T00:00:00Z' },
};

test('managed fields are not kept', (t) => {
  t.false('managedFields' in (parseTkaSignin(object)?.metadata ?? {}));
});

test("an object of the earlier product's schema is not a TkaSignin", (t) => {
  t.is(parseTkaSignin({ ...object, spec: { username: 'u', role: 'view', validity_period: '8h0m0s' } }), undefined);
});

test('garbage is not a TkaSignin', (t) => {
  for (const garbage of [undefined, null, 'x', {}, { ...object, spec: { ...object.spec, expiresAt: 'tomorrow' } }]) {
    t.is(parseTkaSignin(garbage), undefined);
  }
});

test('a condition of another version is left out, the rest is parsed', (t) => {
  const condition = {
    type: 'Ready',
    status: 'True',
    reason: 'Provisioned',
    message: '',
    lastTransitionTime: '',
    observedGeneration: 1,
  };
  const parsed = parseTkaSignin({ ...object, status: { conditions: [{ type: 'New' }, condition] } });
  t.deepEqual(parsed?.status?.conditions, [condition] as never);
});
