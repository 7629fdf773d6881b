/**
 * The kubelet's own API behind `nodes/NAME/proxy`: which of its calls reach into a container, with what command, and which only
 * read. The paths are those of pkg/kubelet/server/server.go in Kubernetes 1.36, and `spec` and `cri` of older ones. Whether the
 * name has a scheme or a port (`https:NAME:10250`) makes no difference.
 */
export interface KubeletCall {
  readonly pod?: string;
  readonly container?: string;
  readonly command?: readonly string[];
}

/** `segments`: decoded, after `proxy`. */
export function kubeletCallIn(segments: readonly string[], query: URLSearchParams): KubeletCall {
  const [call = '', namespace, pod, ...rest] = segments;
  // `run` has its words in one parameter and splits them at spaces; `exec` has a parameter for each. Older kubelets also take `cmd` of
  // `run` from a form in the body, which is not read here.
  const command = [...query.getAll('command'), ...query.getAll('cmd').flatMap((words) => words.split(' '))];
  if (!intoPod.has(call) || namespace === undefined || pod === undefined)
    return command.length === 0 ? {} : { command };
  // The container comes last, after the pod's UID where that is given. A port forward is to the pod: only the UID may follow.
  const container = call === 'portForward' ? undefined : rest.at(-1);
  return {
    pod: `${namespace}/${pod}`,
    ...(container === undefined ? {} : { container }),
    ...(command.length === 0 ? {} : { command }),
  };
}

/** Upgraded, their streams are those of Kubernetes' exec and attach, which a recording can read. */
export function isKubeletTerminal(path: string): boolean {
  return terminals.has(firstOf(path));
}

/** Reads, and runs nothing. A list of what is allowed: a kubelet of another version may have calls that are not known here. */
export function isKubeletRead(verb: string, path: string): boolean {
  return (verb === 'get' || verb === 'watch') && reads.has(firstOf(path));
}

function firstOf(path: string): string {
  return path.split('/', 2)[1] ?? '';
}

const intoPod: ReadonlySet<string> = new Set(['run', 'exec', 'attach', 'portForward', 'containerLogs', 'checkpoint']);
const terminals: ReadonlySet<string> = new Set(['exec', 'attach', 'cri']);
const reads: ReadonlySet<string> = new Set([
  '',
  'configz',
  'containerLogs',
  'debug',
  'flagz',
  'healthz',
  'logs',
  'metrics',
  'pods',
  'runningpods',
  'spec',
  'stats',
  'statusz',
]);
