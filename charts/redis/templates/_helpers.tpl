{{/* The environment variable that holds a user's password. */}}
{{- define "redis.passwordVariable" -}}
PASSWORD_OF_{{ . | upper | replace "-" "_" }}
{{- end -}}

{{/* redis.conf without its users. What `settings` says comes last, and wins. */}}
{{- define "redis.configuration" -}}
|
  bind * -::*
  protected-mode no
  dir /data
  {{- if .Values.tls.enabled }}
  port 0
  tls-port 6379
  tls-cert-file /tls/tls.crt
  tls-key-file /tls/tls.key
  {{- if .Values.tls.caKey }}
  tls-ca-cert-file /tls/ca.crt
  {{- else }}
  tls-ca-cert-dir /etc/ssl/certs
  {{- end }}
  # Clients show a password, and no certificate.
  tls-auth-clients no
  {{- end }}
  {{- range $directive, $value := .Values.settings }}
  {{ $directive }} {{ $value }}
  {{- end }}
{{- end -}}

{{/* A probe's command: whether the server's answer to PING has one of the words. Its own certificate may lack the name 127.0.0.1. */}}
{{- define "redis.ping" -}}
{{- $root := index . 0 -}}
command: [sh, -c, 'REDISCLI_AUTH=$REDIS_PASSWORD redis-cli -h 127.0.0.1{{ if $root.Values.tls.enabled }} --tls --insecure{{ end }} ping | grep -q{{ range slice . 1 }} -e {{ . }}{{ end }}']
{{- end -}}
