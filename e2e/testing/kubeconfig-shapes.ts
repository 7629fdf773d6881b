/** Kubeconfigs as people have them, by what makes them so. */
const gke = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://34.1.2.3
  name: gke_project_europe-west1_prod
contexts:
- context:
    cluster: gke_project_europe-west1_prod
    user: gke_project_europe-west1_prod
  name: gke_project_europe-west1_prod
current-context: gke_project_europe-west1_prod
kind: Config
preferences: {}
users:
- name: gke_project_europe-west1_prod
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: gke-gcloud-auth-plugin
      installHint: Install gke-gcloud-auth-plugin for use with kubectl by following
        https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin
      provideClusterInfo: true
`;

export const shapes: Readonly<Record<string, string | Buffer>> = {
  'of gcloud': gke,
  'of aws eks': `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://ABC.gr7.eu-central-1.eks.amazonaws.com
  name: arn:aws:eks:eu-central-1:123456789012:cluster/prod
contexts:
- context:
    cluster: arn:aws:eks:eu-central-1:123456789012:cluster/prod
    user: arn:aws:eks:eu-central-1:123456789012:cluster/prod
  name: arn:aws:eks:eu-central-1:123456789012:cluster/prod
current-context: arn:aws:eks:eu-central-1:123456789012:cluster/prod
kind: Config
preferences: {}
users:
- name: arn:aws:eks:eu-central-1:123456789012:cluster/prod
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - --region
      - eu-central-1
      - eks
      - get-token
      - --cluster-name
      - prod
      command: aws
      env:
      - name: AWS_PROFILE
        value: prod
      interactiveMode: IfAvailable
      provideClusterInfo: false
`,
  'of minikube': `apiVersion: v1
clusters:
- cluster:
    certificate-authority: /home/a/.minikube/ca.crt
    extensions:
    - extension:
        last-update: Mon, 30 Nov 2026 09:00:00 UTC
        provider: minikube.sigs.k8s.io
        version: v1.37.0
      name: cluster_info
    server: https://192.168.49.2:8443
  name: minikube
contexts:
- context:
    cluster: minikube
    extensions:
    - extension:
        last-update: Mon, 30 Nov 2026 09:00:00 UTC
        provider: minikube.sigs.k8s.io
        version: v1.37.0
      name: context_info
    namespace: default
    user: minikube
  name: minikube
current-context: minikube
kind: Config
preferences: {}
users:
- name: minikube
  user:
    client-certificate: /home/a/.minikube/profiles/minikube/client.crt
    client-key: /home/a/.minikube/profiles/minikube/client.key
`,
  'of k3d': `---
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://0.0.0.0:6550
  name: k3d-dev
contexts:
- context:
    cluster: k3d-dev
    user: admin@k3d-dev
  name: k3d-dev
current-context: k3d-dev
kind: Config
preferences: {}
users:
- name: admin@k3d-dev
  user:
    client-certificate-data: Q0E=
    client-key-data: Q0E=
`,
  'of Rancher': `apiVersion: v1
kind: Config
clusters:
- name: "prod"
  cluster:
    server: "https://rancher.example/k8s/clusters/c-m-abc"
    certificate-authority-data: "LS0tLS1CRUdJTiBDRVJU\\
      SUZJQ0FURS0tLS0t"

users:
- name: "prod"
  user:
    token: "kubeconfig-u-abc:xyz"


contexts:
- name: "prod"
  context:
    user: "prod"
    cluster: "prod"

current-context: "prod"
`,
  'with entries of the name that a login wants': gke.replaceAll('gke_project_europe-west1_prod', 'tka-prod-2'),
  'written as JSON': JSON.stringify({ kind: 'Config', apiVersion: 'v1', contexts: [{ name: 'a', context: {} }] }),
  'with null items, keys and lists': 'contexts:\n-\n- name: b\n  context:\nclusters:\nusers: ~\ncurrent-context:\n',
  'of a comment alone': '# none yet\n',
  'of a document start alone': '---\n',
  'of null alone': 'null\n',
  'without content': '',
  'with a byte order mark': `\uFEFF${gke}`,
  "in UTF-16, as PowerShell's > writes it": Buffer.from(`\uFEFF${gke.replaceAll('\n', '\r\n')}`, 'utf16le'),
  'with CRLF': gke.replaceAll('\n', '\r\n'),
  'with anchors, aliases and merge keys':
    'contexts:\n- &x\n  name: a\n  context: &y {cluster: a}\n- name: b\n  context: *y\n- <<: *x\n  name: c\n',
  'with an alias as an item': 'x-any: &x {name: a, context: {cluster: a}}\ncontexts:\n- *x\n',
  'with keys that repeat in an entry': 'contexts:\n- name: a\n  name: c\n  context: {cluster: a, cluster: b}\n',
  'with tabs between words': 'contexts:\t\n- name:\ta\n  context: {cluster: a}\t# tab\n',
  'of two YAML documents': `${gke}---\ncontexts:\n- name: other\n  context: {}\n`,
  'without apiVersion and kind': 'contexts: []\n',
};
