{{/* The image, by digest where one is given. */}}
{{- define "tka.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Labels of an object: the release and the component that it is of, in a list. */}}
{{- define "tka.labels" -}}
{{- $release := index . 0 -}}
app.kubernetes.io/name: tka
app.kubernetes.io/instance: {{ $release.Release.Name }}
app.kubernetes.io/version: {{ $release.Chart.AppVersion }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: tka
app.kubernetes.io/managed-by: {{ $release.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $release.Chart.Name $release.Chart.Version | replace "+" "_" }}
{{- with $release.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The server's configuration file. */}}
{{- define "tka.settings" -}}
{{- $tailscale := dict -}}
{{- with .Values.tags }}{{ $_ := set $tailscale "tags" . }}{{ end -}}
{{- with .Values.controlUrl }}{{ $_ := set $tailscale "controlUrl" . }}{{ end -}}
{{- if .Values.extraCA.configMap }}{{ $_ := set $tailscale "caFile" "/etc/tka/ca.crt" }}{{ end -}}
{{- with .Values.auth.workloadIdentity.clientId -}}
{{- $_ := set $tailscale "clientId" . -}}
{{- $_ := set $tailscale "idTokenFile" "/var/run/secrets/tka/id-token" -}}
{{- end -}}
{{- $settings := dict
  "operator" (dict "clusterName" .Values.clusterName)
  "roles" (dict "clusterWide" .Values.roles.clusterWide "namespaced" .Values.roles.namespaced)
  "api" (dict "modes" .Values.modes) -}}
{{- with $tailscale }}{{ $_ := set $settings "tailscale" . }}{{ end -}}
{{- with .Values.labels }}{{ $_ := set $settings "clusterInfo" (dict "labels" .) }}{{ end -}}
{{- toYaml (mergeOverwrite $settings (deepCopy .Values.settings)) -}}
{{- end -}}
