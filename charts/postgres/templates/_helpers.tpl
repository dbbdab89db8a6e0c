{{/* The environment variable that holds a role's password. */}}
{{- define "postgres.passwordVariable" -}}
PASSWORD_OF_{{ . | upper }}
{{- end -}}

{{/* The superuser's password, as a variable of the given name: (list $ <name>). */}}
{{- define "postgres.superuser" -}}
{{- $root := index . 0 -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef: {name: {{ include "common.secret" $root }}, key: {{ $root.Values.auth.superuserKey }}}
{{- end -}}

{{/* The server's settings, as words of its command line. */}}
{{- define "postgres.settings" -}}
{{- range $name, $value := .Values.settings }}
- -c
- {{ printf "%s=%v" $name $value | quote }}
{{- end }}
{{- end -}}

{{/* Who may connect, when only encrypted connections are let in. The image's own file, made with the data folder, lets all in. */}}
{{- define "postgres.hba" -}}
local   all all     trust
hostssl all all all scram-sha-256
{{- end -}}

{{/* PgBouncer's settings. It meets the server at its socket, where every role is trusted, once it has seen the client's password. */}}
{{- define "postgres.pooler" -}}
[databases]
* = host=/var/run/postgresql port=5432

[pgbouncer]
listen_addr = *
listen_port = 6432
unix_socket_dir =
auth_type = scram-sha-256
auth_user = postgres
auth_dbname = postgres
auth_query = select rolname, rolpassword from pg_catalog.pg_authid where rolname = $1 and rolcanlogin and not rolsuper and (rolvaliduntil is null or rolvaliduntil > now())
pool_mode = session
server_reset_query = discard all
default_pool_size = {{ .Values.pooler.sessions }}
max_client_conn = {{ .Values.pooler.clients }}
query_wait_timeout = {{ .Values.pooler.waitSeconds }}
server_idle_timeout = 60
ignore_startup_parameters = extra_float_digits
# Two lines for each of fifty connections a second say nothing.
log_connections = 0
log_disconnections = 0
log_stats = 0
{{- if .Values.tls.enabled }}
client_tls_sslmode = {{ ternary "require" "allow" .Values.tls.required }}
client_tls_cert_file = /tls/tls.crt
client_tls_key_file = /tls/tls.key
{{- end }}
{{- end -}}

{{/* The pod that makes roles, databases and extensions: one for the Job of the release, one for the hook. */}}
{{- define "postgres.provisioning" -}}
{{- $own := .Values.provisioning -}}
metadata:
  {{- include "common.podMetadata" (list $ $own (include "postgres.provisioningLabels" .)) | nindent 2 }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  {{- include "common.podSpec" (list $ $own) | nindent 2 }}
  containers:
    - name: provision
      {{- include "common.container" (list $ $own .Values.image) | nindent 6 }}
      command: [sh, /provisioning/provision.sh]
      # The reason is in the pod's state, where `kubectl describe` shows it.
      terminationMessagePolicy: FallbackToLogsOnError
      env:
        - {name: PGHOST, value: {{ include "common.name" . }}}
        - {name: PGPORT, value: {{ .Values.service.port | quote }}}
        # The pod's own address, which is known before the server is ready.
        - {name: SERVER, value: {{ include "common.headless" . }}}
        - {name: PATIENCE_S, value: {{ sub .Values.provisioning.deadlineSeconds 30 | max 10 | quote }}}
        {{- with .Values.tls }}
        {{- if .enabled }}
        - {name: PGSSLMODE, value: {{ ternary "verify-full" "require" (not (empty .caKey)) }}}
        {{- if .caKey }}
        - {name: PGSSLROOTCERT, value: /tls/ca.crt}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- include "postgres.superuser" (list $ "PGPASSWORD") | nindent 8 }}
        {{- range $name, $role := .Values.roles }}
        - name: {{ include "postgres.passwordVariable" $name }}
          valueFrom:
            secretKeyRef: {name: {{ $role.secret | default (include "common.secret" $) }}, key: {{ $role.passwordKey }}}
        {{- end }}
        {{- include "common.extra" (list $ $own "extraEnv") | nindent 8 }}
      volumeMounts:
        - {name: provisioning, mountPath: /provisioning}
        {{- if and .Values.tls.enabled .Values.tls.caKey }}
        - {name: tls, mountPath: /tls}
        {{- end }}
        {{- include "common.extra" (list $ $own "extraVolumeMounts") | nindent 8 }}
  volumes:
    - name: provisioning
      configMap: {name: {{ include "common.name" . }}}
    {{- if and .Values.tls.enabled .Values.tls.caKey }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.secretName }}
        items: [{key: {{ .Values.tls.caKey }}, path: ca.crt}]
    {{- end }}
    {{- include "common.extra" (list $ $own "extraVolumes") | nindent 4 }}
{{- end -}}

{{- define "postgres.provisioningLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-provision
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: hook
app.kubernetes.io/part-of: terrane
{{- end -}}

{{/* How the Job ends: a mistake in the values at once, a server that went away after some tries. */}}
{{- define "postgres.provisioningEnd" -}}
backoffLimit: 3
activeDeadlineSeconds: {{ .Values.provisioning.deadlineSeconds }}
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes: {containerName: provision, operator: In, values: [3]}
{{- end -}}
