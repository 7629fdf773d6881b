/** A TkaSignin for tests: a live session of alice's, provisioned unless `status` says otherwise. */
import {
  finalizer,
  kind,
  apiVersion,
  type ObjectMeta,
  type TkaSignin,
  type TkaSigninSpec,
} from '../../crd/tkasignin.ts';

export interface SigninOverrides {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec?: Partial<TkaSigninSpec>;
  readonly status?: TkaSignin['status'];
}

export const testEnd = '2026-01-01T01:00:00Z';

export function testSignin({ metadata, spec, ...rest }: SigninOverrides = {}): TkaSignin {
  const status = 'status' in rest ? rest.status : readyStatus();
  return {
    apiVersion,
    kind,
    metadata: {
      name: 'alice-0123456789',
      namespace: 'tka-sessions',
      uid: '11111111-1111-4111-8111-111111111111',
      resourceVersion: '100',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      finalizers: [finalizer],
      ...metadata,
    },
    spec: { subject: 'h|user:1', username: 'alice@example.com', role: 'view', expiresAt: testEnd, ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

export function readyStatus(): NonNullable<TkaSignin['status']> {
  return {
    observedGeneration: 1,
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'Provisioned',
        message: 'bound to view in the whole cluster',
        lastTransitionTime: '2026-01-01T00:00:00Z',
        observedGeneration: 1,
      },
    ],
    serviceAccountName: 'whatever',
    expiresAt: testEnd,
  };
}
