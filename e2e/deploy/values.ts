/** Values of the Helm chart, and what each is expected to change in what it renders: paths of fields, as `flatten` writes them. */

/** What each value changes: fields that are new or other, and fields that are gone. */
export interface Change {
  readonly values: Readonly<Record<string, unknown>>;
  readonly changed: Readonly<Record<string, unknown>>;
  /** `Kind namespace/name: *` is a whole object. */
  readonly gone?: readonly string[];
}

export const pod = 'StatefulSet tka-system/tka: spec.template.spec';
export const settings = 'ConfigMap tka-system/tka-config: data.config.yaml';
export const changes: readonly Change[] = [
  {
    values: { image: { repository: 'registry.example/tka', tag: '1.2.3', pullPolicy: 'Always' } },
    changed: {
      [`${pod}.containers.0.image`]: 'registry.example/tka:1.2.3',
      [`${pod}.containers.0.imagePullPolicy`]: 'Always',
    },
  },
  {
    values: { image: { digest: `sha256:${'a'.repeat(64)}`, pullSecrets: [{ name: 'pull' }] } },
    changed: {
      [`${pod}.containers.0.image`]: `ghcr.io/spechtlabs/tka-server@sha256:${'a'.repeat(64)}`,
      [`${pod}.imagePullSecrets.0.name`]: 'pull',
    },
  },
  { values: { replicas: 2 }, changed: { 'StatefulSet tka-system/tka: spec.replicas': 2 } },
  {
    values: {
      clusterName: 'prod',
      labels: { env: 'prod' },
      hostname: 'tka-prod',
      tags: ['tag:tka'],
      controlUrl: 'https://hs.example',
    },
    changed: {
      [`${settings}.operator.clusterName`]: 'prod',
      [`${settings}.clusterInfo.labels.env`]: 'prod',
      [`${pod}.containers.0.env.0.value`]: 'tka-prod',
      [`${settings}.tailscale.tags.0`]: 'tag:tka',
      [`${settings}.tailscale.controlUrl`]: 'https://hs.example',
    },
  },
  {
    values: { extraCA: { configMap: 'roots' } },
    changed: {
      [`${settings}.tailscale.caFile`]: '/etc/tka/ca.crt',
      [`${pod}.volumes.0.projected.sources.1.configMap.name`]: 'roots',
    },
  },
  {
    values: { roles: { clusterWide: ['view'], namespaced: ['edit', 'view', 'deployer'] } },
    changed: {
      [`${settings}.roles.namespaced.0`]: 'edit',
      [`${settings}.roles.namespaced.1`]: 'view',
      [`${settings}.roles.namespaced.2`]: 'deployer',
      'ClusterRole /tka-bindable-roles: rules.0.resourceNames.2': 'deployer',
    },
    gone: [
      ...[1, 2, 3].map((index) => `${settings}.roles.clusterWide.${index}`),
      `${settings}.roles.namespaced.3`,
      'ClusterRole /tka-bindable-roles: rules.0.resourceNames.3',
    ],
  },
  {
    values: { modes: ['proxy'] },
    changed: { [`${settings}.api.modes.0`]: 'proxy' },
    gone: [`${settings}.api.modes.1`],
  },
  {
    values: { settings: { limits: { streams: 5 }, tailscale: { port: 8080 } } },
    changed: { [`${settings}.limits.streams`]: 5, [`${settings}.tailscale.port`]: 8080 },
  },
  {
    values: { auth: { secretName: 'join' } },
    changed: { [`${pod}.containers.0.envFrom.0.secretRef.name`]: 'join' },
  },
  {
    values: {
      resources: { requests: { memory: '256Mi' }, limits: { memory: '1Gi' } },
      nodeSelector: { pool: 'infra' },
      tolerations: [{ key: 'infra', operator: 'Exists' }],
      affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone' }] } },
      podAnnotations: { team: 'platform' },
      priorityClassName: 'system-cluster-critical',
    },
    changed: {
      [`${pod}.containers.0.resources.requests.memory`]: '256Mi',
      [`${pod}.containers.0.resources.limits.memory`]: '1Gi',
      [`${pod}.nodeSelector.pool`]: 'infra',
      [`${pod}.tolerations.0.key`]: 'infra',
      [`${pod}.tolerations.0.operator`]: 'Exists',
      [`${pod}.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution.0.topologyKey`]: 'zone',
      [`${pod}.priorityClassName`]: 'system-cluster-critical',
      'StatefulSet tka-system/tka: spec.template.metadata.annotations.team': 'platform',
    },
    gone: ['PriorityClass /tka: *'],
  },
  {
    values: { networkPolicy: { metricsFrom: 'observability', egressPorts: [8443] } },
    changed: {
      'NetworkPolicy tka-system/tka: spec.ingress.0.from.0.namespaceSelector.matchLabels.kubernetes.io/metadata.name':
        'observability',
      'NetworkPolicy tka-system/tka: spec.egress.0.ports.5.protocol': 'TCP',
      'NetworkPolicy tka-system/tka: spec.egress.0.ports.5.port': 8443,
    },
  },
  {
    values: {
      podLabels: { team: 'platform' },
      serviceAccount: { annotations: { 'example.com/role': 'tka' } },
      extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
      extraVolumes: [{ name: 'recordings', persistentVolumeClaim: { claimName: 'recordings' } }],
      extraVolumeMounts: [{ name: 'recordings', mountPath: '/recordings' }],
    },
    changed: {
      'StatefulSet tka-system/tka: spec.template.metadata.labels.team': 'platform',
      'ServiceAccount tka-system/tka: metadata.annotations.example.com/role': 'tka',
      [`${pod}.containers.0.env.9.name`]: 'HTTPS_PROXY',
      [`${pod}.containers.0.env.9.value`]: 'http://proxy:3128',
      [`${pod}.volumes.2.name`]: 'recordings',
      [`${pod}.volumes.2.persistentVolumeClaim.claimName`]: 'recordings',
      [`${pod}.containers.0.volumeMounts.2.name`]: 'recordings',
      [`${pod}.containers.0.volumeMounts.2.mountPath`]: '/recordings',
    },
  },
  { values: { networkPolicy: { enabled: false } }, changed: {}, gone: ['NetworkPolicy tka-system/tka: *'] },
];

/** What the chart's schema refuses. */
export const refused: readonly Record<string, unknown>[] = [
  { replica: 2 },
  { replicas: 3 },
  { roles: { clusterWide: 'view' } },
  { roles: { clusterWide: ['a/b'] } },
  // To RBAC an empty list of names is every ClusterRole.
  { roles: { clusterWide: [], namespaced: [] } },
  { modes: ['indirect'] },
  { modes: [] },
  { controlUrl: 'hs.example' },
  { tags: ['tka'] },
  { image: { digest: 'sha256:abc' } },
  { auth: { secretName: '' } },
  { auth: { workloadIdentity: { clientId: 'abc' } } },
  // What the server's own file may not have.
  { settings: { limits: { stream: 5 } } },
  { settings: { limits: { streams: 0 } } },
  { settings: { log: { level: 'loud' } } },
  { settings: { recording: { fail: 'maybe' } } },
  // The server refuses it: kubectl sends no credential without TLS.
  { settings: { clusterInfo: { apiEndpoint: 'http://api.example:6443' } } },
  { settings: { tracing: { endpoint: 'ftp://collector.example' } } },
  // Rights and policies, probes and the Service would not follow.
  { settings: { operator: { namespace: 'sessions' } } },
  { settings: { kubernetes: { namespace: 'tka' } } },
  { settings: { health: { port: 9090 } } },
  { settings: { health: { address: '127.0.0.1' } } },
  // Two replicas would both work on the sessions.
  { settings: { replicas: { election: false } } },
  // The pod's environment would win.
  { settings: { tailscale: { hostname: 'other' } } },
  { settings: { tailscale: { stateSecret: 'other' } } },
  // tka's right to bind would not follow.
  { settings: { roles: { clusterWide: ['view'] } } },
  // A ConfigMap is for all to read.
  { settings: { tailscale: { authKey: 'tskey-auth-1' } } },
  { settings: { tailscale: { clientSecret: 'tskey-client-1' } } },
  { commonLabels: { 'app.kubernetes.io/managed-by': 'tka' } },
  { extraEnv: { A: 'b' } },
  { extraVolumes: [{ emptyDir: {} }] },
  { extraVolumeMounts: [{ name: 'recordings' }] },
];
