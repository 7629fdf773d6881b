/** What `kubectl auth can-i --list` says that an account may, as one text, so that two can be compared line by line. */
import type { ClusterStack } from '../../dev/stack/stack.ts';

type Cluster = Pick<ClusterStack, 'kubectl'>;

/**
 * What the account may in every namespace, then what it may besides in each, less what every account may: lines of
 * `resource [name]: verbs`. `plain` is a namespace that nothing is said of.
 */
export async function rightsTable(cluster: Cluster, account: string, plain: string): Promise<string> {
  const everybody = new Set(await rightsOf(cluster, `system:serviceaccount:${plain}:default`, plain));
  const own = async (namespace: string): Promise<readonly string[]> =>
    (await rightsOf(cluster, account, namespace)).filter((right) => !everybody.has(right));
  const everywhere = await own(plain);
  const { stdout } = await cluster.kubectl(['get', 'namespaces', '-o', 'jsonpath={.items[*].metadata.name}']);
  const others = stdout.split(' ').filter((name) => name !== plain);
  const besides = await Promise.all(
    others.toSorted().map(async (name) => {
      const more = (await own(name)).filter((right) => !everywhere.includes(right));
      return { title: `besides in ${name}`, rights: more };
    }),
  );
  return [{ title: 'in every namespace, and outside of them', rights: everywhere }, ...besides]
    .filter(({ rights }) => rights.length > 0)
    .map(({ title, rights }) => `${title}\n${rights.map((right) => `  ${right}\n`).join('')}`)
    .join('\n');
}

async function rightsOf(cluster: Cluster, account: string, namespace: string): Promise<readonly string[]> {
  const args = ['auth', 'can-i', '--list', '-n', namespace, `--as=${account}`];
  const { code, stdout, stderr } = await cluster.kubectl(args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  const lines = stdout
    .split('\n')
    .slice(1)
    .filter((line) => line !== '');
  return lines.map(readable).toSorted();
}

function readable(line: string): string {
  const [, resource = '', urls = '', names = '', verbs = ''] =
    /^(\S*)\s+\[(.*?)\]\s+\[(.*?)\]\s+\[(.*?)\]\s*$/.exec(line) ?? [];
  if (verbs === '') throw new Error(`kubectl auth can-i --list has a line of another form: ${line}`);
  const sorted = (list: string): string => list.split(' ').toSorted().join(' ');
  return `${resource}${urls}${names === '' ? '' : ` [${sorted(names)}]`}: ${sorted(verbs)}`;
}
