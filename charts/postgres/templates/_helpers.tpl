{{- define "postgres.name" -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name .Chart.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "postgres.secret" -}}
{{- tpl .Values.auth.existingSecret . | default (include "postgres.name" .) -}}
{{- end -}}

{{- define "postgres.image" -}}
{{- $registry := ((.Values.global).imageRegistry) | default .Values.image.registry -}}
{{- printf "%s/%s:%s" $registry .Values.image.repository .Values.image.tag -}}
{{- end -}}

{{- define "postgres.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Without the chart's version, which would restart the store at every new one. */}}
{{- define "postgres.podLabels" -}}
{{ include "postgres.selector" . }}
app.kubernetes.io/component: store
app.kubernetes.io/part-of: terrane
{{- end -}}

{{- define "postgres.labels" -}}
{{ include "postgres.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The environment variable that holds a role's password. */}}
{{- define "postgres.passwordVariable" -}}
PASSWORD_OF_{{ . | upper | replace "-" "_" }}
{{- end -}}

{{/* The passwords as environment variables: the superuser's, then each role's. */}}
{{- define "postgres.passwords" -}}
- name: POSTGRES_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ include "postgres.secret" . }}, key: {{ .Values.auth.superuserKey }}}
{{- range $name, $role := .Values.roles }}
- name: {{ include "postgres.passwordVariable" $name }}
  valueFrom:
    secretKeyRef: {name: {{ $role.secret | default (include "postgres.secret" $) }}, key: {{ $role.passwordKey }}}
{{- end }}
{{- end -}}
