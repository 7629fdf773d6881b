/**
 * The chart's templates, made from the manifests: each file as it is, with places for values where `edits` says so. Comments come
 * along. An edit whose place is not there exactly once is an error, so that a manifest cannot change behind the chart's back. Labels
 * are Helm's in all of them. Besides, the schema of the values and the README, which follow from the server's settings and values.yaml.
 */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { valuesReadme } from './readme.ts';
import { valuesSchema } from './values-schema.ts';

interface Edit {
  /** Exactly as in the manifest, but for the indentation of the first line. */
  readonly from: string;
  readonly to: string;
}

/** By file, from the project's root. Those without an edit are in the chart as they are. */
const edits: Readonly<Record<string, readonly Edit[]>> = {
  'crd/tkasignin.yaml': [],
  'manifests/cluster/namespaces.yaml': [],
  'manifests/cluster/account.yaml': [
    {
      from: 'automountServiceAccountToken: false',
      to: `{{- with .Values.serviceAccount.annotations }}
  annotations:
{{ toYaml . | indent 4 }}
{{- end }}
automountServiceAccountToken: false`,
    },
  ],
  'manifests/cluster/secrets.yaml': [],
  'manifests/cluster/rbac.yaml': [],
  'manifests/cluster/admission.yaml': [],
  'manifests/cluster/admission-server.yaml': [],
  'manifests/cluster/bindable-roles.yaml': [
    {
      from: `      - view
      - edit
      - admin
      - cluster-admin
`,
      to: `{{- range concat .Values.roles.clusterWide .Values.roles.namespaced | uniq }}
      - {{ . | quote }}
{{- end }}
`,
    },
  ],
  'manifests/server/priority.yaml': [],
  'manifests/server/service.yaml': [],
  'manifests/server/disruption-budget.yaml': [],
  'manifests/server/network-policy.yaml': [
    { from: 'name: monitoring\n', to: 'name: {{ .Values.networkPolicy.metricsFrom }}\n' },
    {
      from: `          endPort: 65535
`,
      to: `          endPort: 65535
{{- range .Values.networkPolicy.egressPorts }}
        - protocol: TCP
          port: {{ . }}
{{- end }}
`,
    },
  ],
  'manifests/server/statefulset.yaml': [
    { from: 'replicas: 1', to: 'replicas: {{ .Values.replicas }}' },
    {
      from: `        app.kubernetes.io/part-of: tka
    spec:`,
      to: `        app.kubernetes.io/part-of: tka
{{- with merge (dict) .Values.podLabels .Values.commonLabels }}
{{ toYaml . | indent 8 }}
{{- end }}
      annotations:
        # Other settings, another pod.
        checksum/settings: {{ include "tka.settings" . | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . | indent 8 }}
{{- end }}
    spec:
{{- range $name, $value := pick .Values "nodeSelector" "tolerations" "affinity" }}
{{- if $value }}
      {{ $name }}:
{{ toYaml $value | indent 8 }}
{{- end }}
{{- end }}
{{- with .Values.image.pullSecrets }}
      imagePullSecrets:
{{ toYaml . | indent 8 }}
{{- end }}`,
    },
    {
      from: 'name: MACHINE_NAME\n              value: tka',
      to: 'name: MACHINE_NAME\n              value: {{ .Values.hostname }}',
    },
    { from: 'priorityClassName: tka', to: 'priorityClassName: {{ .Values.priorityClassName }}' },
    {
      from: '          image: tka-server',
      to: `          image: {{ include "tka.image" . }}
{{- with .Values.image.pullPolicy }}
          imagePullPolicy: {{ . }}
{{- end }}`,
    },
    {
      from: `              value: --max-old-space-size-percentage=40
`,
      to: `              value: --max-old-space-size-percentage=40
{{- with .Values.extraEnv }}
{{ toYaml . | indent 12 }}
{{- end }}
`,
    },
    {
      from: `          envFrom:
            - secretRef:
                name: tka-auth
`,
      to: `{{- if not .Values.auth.workloadIdentity.clientId }}
          envFrom:
            - secretRef:
                name: {{ .Values.auth.secretName }}
{{- end }}
`,
    },
    {
      from: `          resources:
            requests:
              cpu: 100m
              memory: 192Mi
            limits:
              # No CPU limit: a throttled server answers late when many users log in.
              memory: 768Mi
`,
      to: `          # No CPU limit: a throttled server answers late when many users log in.
          resources:
{{ toYaml .Values.resources | indent 12 }}
`,
    },
    {
      from: `          volumeMounts:
`,
      to: `          volumeMounts:
{{- if .Values.auth.workloadIdentity.clientId }}
            - name: identity
              mountPath: /var/run/secrets/tka
              readOnly: true
{{- end }}
`,
    },
    {
      from: `      volumes:
`,
      to: `      volumes:
{{- with .Values.auth.workloadIdentity }}
{{- if .clientId }}
        - name: identity
          projected:
            sources:
              - serviceAccountToken:
                  path: id-token
                  audience: {{ .audience | quote }}
                  expirationSeconds: 3600
{{- end }}
{{- end }}
`,
    },
    {
      from: `              mountPath: /tmp
`,
      to: `              mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . | indent 12 }}
{{- end }}
`,
    },
    {
      from: `            sizeLimit: 128Mi
`,
      to: `            sizeLimit: 128Mi
{{- with .Values.extraVolumes }}
{{ toYaml . | indent 8 }}
{{- end }}
`,
    },
    { from: 'name: tka-ca\n', to: 'name: {{ .Values.extraCA.configMap | default "tka-ca" }}\n' },
  ],
  // Their namespace comes from the kustomization beside them.
  'manifests/monitoring/service-monitor.yaml': [
    { from: 'metadata:\n  name: tka\n', to: 'metadata:\n  name: tka\n  namespace: tka-system\n' },
  ],
  'manifests/monitoring/alerts.yaml': [
    { from: 'metadata:\n  name: tka\n', to: 'metadata:\n  name: tka\n  namespace: tka-system\n' },
  ],
};

/** Files that are in a release only where the values ask for them. */
const conditions: Readonly<Record<string, string>> = {
  'manifests/server/priority.yaml': 'eq .Values.priorityClassName "tka"',
  'manifests/server/network-policy.yaml': '.Values.networkPolicy.enabled',
  'manifests/monitoring/service-monitor.yaml': '.Values.monitoring.enabled',
  'manifests/monitoring/alerts.yaml': '.Values.monitoring.enabled',
};

/** What a file's objects are of, where that is not access to the cluster. */
const components: Readonly<Record<string, string>> = { server: 'server', monitoring: 'monitoring' };

const dashboard = `{{- if .Values.monitoring.enabled }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: tka-dashboard
  namespace: tka-system
  labels:
    app.kubernetes.io/part-of: tka
    grafana_dashboard: '1'
data:
  dashboard.json: |
{{ .Files.Get "dashboard.json" | indent 4 }}
{{- end }}
`;

const configMap = `apiVersion: v1
kind: ConfigMap
metadata:
  name: tka-config
  namespace: tka-system
  labels:
    app.kubernetes.io/part-of: tka
data:
  config.yaml: |
{{ include "tka.settings" . | indent 4 }}
`;

/** By file, from the chart's folder; `root` is the project's. */
export async function chartFiles(root: string): Promise<ReadonlyMap<string, string>> {
  const made = await Promise.all(
    Object.entries(edits).map(async ([file, list]): Promise<[string, string]> => {
      const text = literal(await readFile(join(root, file), 'utf8'));
      const component = components[file.split('/')[1] ?? ''] ?? 'access';
      const body = labelled(
        list.reduce((before, edit) => applied(before, edit, file), withRunbooks(text)),
        component,
      );
      const condition = conditions[file];
      const heading = `{{- /* From ${file}, by npm run build:chart. */}}\n`;
      const whole = condition === undefined ? body : `{{- if ${condition} }}\n${body.trimEnd()}\n{{- end }}\n`;
      return [`templates/${basename(file)}`, heading + whole];
    }),
  );
  return new Map([
    ...made,
    ['templates/config-map.yaml', labelled(configMap, 'server')],
    ['templates/dashboard.yaml', labelled(dashboard, 'monitoring')],
    ['values.schema.json', await valuesSchema(join(root, 'charts/tka/values.schema.json'))],
    ['README.md', await valuesReadme(join(root, 'charts/tka'))],
    ['dashboard.json', await readFile(join(root, 'manifests/monitoring/dashboard.json'), 'utf8')],
  ]);
}

/** Objects' own labels are the chart's; those that select pods, and pods' own, stay. */
function labelled(text: string, component: string): string {
  // The dashboard is found by a label of its own.
  const isSelected = component === 'monitoring' && !text.includes('grafana_dashboard');
  const selected = isSelected ? '{{- with .Values.monitoring.labels }}\n{{ toYaml . | indent 4 }}\n{{- end }}\n' : '';
  return text.replaceAll(
    /^ {2}labels:\n(?: {4}app\.kubernetes\.io\/.*\n)+/gm,
    `  labels:\n{{ include "tka.labels" (list $ "${component}") | indent 4 }}\n${selected}`,
  );
}

/** Where the page with the alerts' paragraphs is, is a value. */
function withRunbooks(text: string): string {
  return text.replaceAll('runbook_url: docs/runbooks.md#', 'runbook_url: {{ $.Values.monitoring.runbookUrl }}#');
}

/** Manifests mean what they say: nothing in them is an action of a template. */
function literal(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}');
}

function applied(text: string, { from, to }: Edit, file: string): string {
  const parts = text.split(from);
  if (parts.length !== 2) {
    throw new Error(`${file} has ${parts.length - 1} times what dev/chart/templates.ts replaces: ${from.trim()}`);
  }
  return parts.join(to);
}
