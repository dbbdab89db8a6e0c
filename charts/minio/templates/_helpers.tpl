{{- define "minio.name" -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name .Chart.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "minio.secret" -}}
{{- tpl .Values.auth.existingSecret . | default (include "minio.name" .) -}}
{{- end -}}

{{- define "minio.image" -}}
{{- $registry := ((.Values.global).imageRegistry) | default .Values.image.registry -}}
{{- printf "%s/%s:%s" $registry .Values.image.repository .Values.image.tag -}}
{{- end -}}

{{- define "minio.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Without the chart's version, which would restart the store at every new one. */}}
{{- define "minio.podLabels" -}}
{{ include "minio.selector" . }}
app.kubernetes.io/component: store
app.kubernetes.io/part-of: terrane
{{- end -}}

{{- define "minio.labels" -}}
{{ include "minio.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

