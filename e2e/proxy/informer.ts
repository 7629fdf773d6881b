/**
 * What a program with a Kubernetes client library does: an informer over ConfigMaps of the namespace it is told, by the
 * kubeconfig that KUBECONFIG names. The library reads `proxy-url` in it, not the variables that kubectl heeds. Prints `VERB NAME`
 * for each event.
 */
import { KubeConfig, CoreV1Api, makeInformer } from '@kubernetes/client-node';

const [namespace = 'default'] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromDefault();

const api = config.makeApiClient(CoreV1Api);
const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
  api.listNamespacedConfigMap({ namespace }),
);
for (const verb of ['add', 'update', 'delete'] as const)
  informer.on(verb, (object) => process.stdout.write(`${verb} ${object.metadata?.name ?? ''}\n`));
informer.on('error', (error: unknown) => process.stderr.write(`${String(error)}\n`));
informer.on('connect', () => process.stdout.write('connected\n'));
await informer.start();
process.stdout.write('started\n');
