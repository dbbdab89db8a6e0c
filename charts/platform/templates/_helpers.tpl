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
The Dagster chart asks this helper for the images of its webserver, daemon, workers and code locations. Ours stands in its
place, so that `global.imageRegistry` moves them with all others.
*/}}
{{- define "dagster.dagsterImage.name" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- $registry := $root.Values.global.imageRegistry -}}
{{- printf "%s%s:%s" (ternary (printf "%s/" $registry) "" (not (empty $registry))) $image.repository ($image.tag | default $root.Chart.Version | toString) -}}
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
