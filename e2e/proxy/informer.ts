/**
 * What a program with a Kubernetes client library does: an informer over ConfigMaps of the namespace it is told, by the
 * kubeconfig that KUBECONFIG names. Prints `VERB NAME` for whatever it hears.
 */
import { KubeConfig, CoreV1Api, makeInformer } from '@kubernetes/client-node';

const [namespace = 'default'] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromDefault();
// The library reads `proxy-url` and not the variable that kubectl heeds.
const proxyUrl = process.env['HTTPS_PROXY'];
config.clusters = config.clusters.map((cluster) => ({ ...cluster, ...(proxyUrl === undefined ? {} : { proxyUrl }) }));

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
