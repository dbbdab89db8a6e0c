{{/* Names and labels of a store's chart. Under an alias, .Chart.Name is the alias. */}}

{{/* Name of the Service and of everything else; suffixes of up to 13 characters fit behind it. */}}
{{- define "common.name" -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name .Chart.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the Secret with the store's passwords. */}}
{{- define "common.secret" -}}
{{- tpl .Values.auth.existingSecret . | default (include "common.name" .) -}}
{{- end -}}

{{- define "common.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Without the chart's version, which would restart the store at every new one. */}}
{{- define "common.podLabels" -}}
{{ include "common.selector" . }}
app.kubernetes.io/component: store
app.kubernetes.io/part-of: terrane
{{- end -}}

{{- define "common.labels" -}}
{{ include "common.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
