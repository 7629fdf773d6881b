import test from 'ava';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { loadConfig } from '../config/index.ts';
import { listReplicas, newsMs, replicasOf } from './replicas.ts';

// Nothing is asked of it here.
const cluster = { apart: {} } as Kubernetes;
const configOf = (env: Record<string, string>) => loadConfig({ env }).values;
const onTailnet = { stableNodeId: 'nA', dnsName: 'tka-0.tail.example' };

test('a single server has no replicas: outside a pod, or by setting', (t) => {
  t.is(
    replicasOf(configOf({}), cluster, () => onTailnet),
    undefined,
  );
  const told = { KUBERNETES_SERVICE_HOST: '10.0.0.1', TKA_REPLICAS_ELECTION: 'false' };
  t.is(
    replicasOf(configOf(told), cluster, () => onTailnet),
    undefined,
  );
  t.is(newsMs(undefined), 0);
});

test('in a pod replicas elect a leader, each under a name of its own, with times that follow from the lease', (t) => {
  const config = configOf({ KUBERNETES_SERVICE_HOST: '10.0.0.1', TKA_REPLICAS_LEASE_SECONDS: '30' });
  const [a, b] = [1, 2].map(() => replicasOf(config, cluster, () => onTailnet));
  t.like(a, { leaseMs: 30_000, renewDeadlineMs: 20_000, retryMs: 4000 });
  t.not(a?.identity, b?.identity);
  t.true(newsMs(a) > 0);
});

test('a configured identity is the same after a restart', (t) => {
  const config = configOf({ TKA_REPLICAS_ELECTION: 'true', TKA_REPLICAS_IDENTITY: 'tka-0_1234' });
  t.is(replicasOf(config, cluster, () => onTailnet)?.identity, 'tka-0_1234');
});

test('a replica says which node it is, once it is one, and the others read it', (t) => {
  const config = configOf({ TKA_REPLICAS_ELECTION: 'true' });
  t.is(replicasOf(config, cluster, () => undefined)?.card?.(), undefined);
  t.is(replicasOf(config, cluster, () => ({ stableNodeId: '', dnsName: '' }))?.card?.(), undefined);
  const card = replicasOf(config, cluster, () => onTailnet)?.card?.();
  t.deepEqual(listReplicas({ [card?.key ?? '']: card?.value ?? '' }), [{ node: 'nA', name: 'tka-0.tail.example' }]);
});

test('whatever else lies on the Lease is no replica; those that are come in order', (t) => {
  const prefix = 'replica.tka.specht-labs.de/';
  const cards = {
    'kubectl.kubernetes.io/last-applied-configuration': '{}',
    [`${prefix}nB`]: '{"name":"tka-1.tail.example"}',
    [`${prefix}nA`]: '{"name":"tka-0.tail.example","more":1}',
    [`${prefix}nC`]: 'nonsense',
    [`${prefix}nD`]: '{"name":""}',
    [`${prefix}nE`]: 'null',
  };
  t.deepEqual(
    listReplicas(cards).map(({ node }) => node),
    ['nA', 'nB'],
  );
});
