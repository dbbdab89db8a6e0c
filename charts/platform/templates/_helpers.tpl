{{/* Labels of what is ours: (dict "root" $ "name" <name> "component" <component>). */}}
{{- define "terrane.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{- define "terrane.labels" -}}
{{ include "terrane.selector" . }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: terrane
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* An image: (list $ .Values.<image>). */}}
{{- define "terrane.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- printf "%s/%s:%s" ($root.Values.global.imageRegistry | default $image.registry) $image.repository $image.tag -}}
{{- end -}}

{{/*
The Dagster chart's own helpers, with ours in their place, so that `global.imageRegistry` moves its images with all others.
It gives the first of them its root, and the others nothing but the image; what those need is put into the image beforehand,
by the helper that every object's labels come from.
*/}}
{{- define "dagster.dagsterImage.name" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- $tag := $image.tag | default $root.Chart.Version | toString -}}
{{- include "dagster.externalImage.name" (dict "registry" $root.Values.global.imageRegistry "repository" $image.repository "tag" $tag "digest" $image.digest) -}}
{{- end -}}

{{- define "dagster.externalImage.name" -}}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}{{ ternary (printf "@%s" .digest) (printf ":%v" .tag) (not (empty .digest)) -}}
{{- end -}}

{{- define "dagster.externalPostgresImage.name" -}}
{{- include "dagster.externalImage.name" . -}}
{{- end -}}

{{- define "dagster.chart" -}}
{{- $values := .Values -}}
{{- with .Values.global.imageRegistry -}}
{{- range $user := list "postgresql" "busybox" "flower" -}}
{{- with (get $values $user | default dict).image }}{{ $_ := set . "registry" $values.global.imageRegistry }}{{ end -}}
{{- end -}}
{{- end -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "terrane.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "terrane.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The first day that is ingested: the one given, the one of the first install, or the one of this install. */}}
{{- define "terrane.startDate" -}}
{{- $there := ((lookup "v1" "ConfigMap" .Release.Namespace "terrane-source").data | default dict).INGESTION_START_DATE -}}
{{- .Values.source.startDate | default $there | default (now | dateModify "-1440h" | date "2006-01-02") -}}
{{- end -}}

{{/* A variable from a Secret: (list <variable> <secret> <key>). */}}
{{- define "terrane.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}
{{- end -}}

{{/* A Secret: (list $ <purpose> <data, encoded>). */}}
{{- define "terrane.secret" -}}
{{- $root := index . 0 }}{{ $name := printf "terrane-%s" (index . 1) }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ $name }}
  labels: {{- include "terrane.labels" (dict "root" $root "name" $name "component" "credentials") | nindent 4 }}
data:
  {{- range $key, $value := index . 2 }}
  {{ $key }}: {{ $value }}
  {{- end }}
{{- end -}}
