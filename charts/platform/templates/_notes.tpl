{{/* What a person reads after an install or upgrade: where the UI is, what to do next, and what is open. */}}
{{- define "terrane.notes" -}}
{{- $n := printf "--namespace %s" .Release.Namespace }}
{{- $web := include "terrane.webserver.name" . }}
{{- $port := .Values.dagster.dagsterWebserver.service.port }}
{{- $ui := .Values.dagster.ingress.dagsterWebserver }}
{{- $features := .Values.featureServer }}
Terrane {{ .Chart.Version }} with Dagster {{ .Chart.AppVersion }}: release {{ .Release.Name }} in namespace {{ .Release.Namespace }}.

THE UI
{{- if .Values.dagster.ingress.enabled }}
  {{ ternary "https" "http" (($ui.tls).enabled | default false) }}://{{ $ui.host }}
{{- else }}
  kubectl {{ $n }} port-forward service/{{ $web }} {{ $port }}
  and then http://localhost:{{ $port }}{{ .Values.dagster.dagsterWebserver.pathPrefix | default "" }}
{{- end }}
{{- if $features.enabled }}

FEATURES
{{- if $features.ingress.enabled }}
  POST {{ ternary "https" "http" (not (empty $features.ingress.tlsSecret)) }}://{{ $features.ingress.host }}/get-online-features
{{- else }}
  within the cluster: POST http://terrane-feature-server.{{ .Release.Namespace }}:6566/get-online-features
{{- end }}
{{- end }}

NEXT
  helm test {{ .Release.Name }} {{ $n }} --logs
  asks the UI whether every location is loaded{{ if $features.enabled }}, and the feature server for a feature, which is there once
  the assets feast/registry and those of the group serving have been materialised{{ end }}.

OPEN
{{- $open := list }}
{{- if .Values.dagster.ingress.enabled }}
{{- if (.Values.ui).login }}
{{- $open = append $open (printf "The UI has no login of its own, and %s is to ask for one before %s." .Values.ui.login $ui.host) }}
{{- else }}
{{- $open = append $open (printf "The UI has no login: whoever reaches %s can start and change everything." $ui.host) }}
{{- end }}
{{- if not ($ui.tls).enabled }}
{{- $open = append $open (printf "%s is not encrypted." $ui.host) }}
{{- end }}
{{- end }}
{{- if $features.enabled }}
{{- if not $features.accessSecret }}
{{- $open = append $open (printf "Everybody who reaches %s may read all features (featureServer.accessSecret)." (ternary $features.ingress.host "the feature server" $features.ingress.enabled)) }}
{{- end }}
{{- if and $features.ingress.enabled (not $features.ingress.tlsSecret) }}
{{- $open = append $open (printf "%s is not encrypted." $features.ingress.host) }}
{{- end }}
{{- end }}
{{- if not .Values.networkPolicy.enabled }}
{{- $open = append $open "Every pod of the cluster may connect to the stores (networkPolicy.enabled)." }}
{{- end }}
{{- range $store := tuple "postgres" "postgis" "redis" "broker" }}
{{- $values := get $.Values $store | default dict }}
{{- if and $values.enabled (not ($values.tls).enabled) }}
{{- $open = append $open (printf "Connections to %s are not encrypted (%s.tls)." $values.fullnameOverride $store) }}
{{- end }}
{{- end }}
{{- /* Stores of somebody else's, or of the chart with TLS: is the server the one it says? */}}
{{- $params := .Values.dagster.postgresql.postgresqlParams | default dict }}
{{- range $store := list
  (list "postgres" "dagster.postgresql.postgresqlParams.sslmode" (eq ($params.sslmode | default "") "verify-full"))
  (list "postgres" "warehouse.sslMode" (eq .Values.warehouse.sslMode "verify-full"))
  (list "postgis" "spatial.sslMode" (eq .Values.spatial.sslMode "verify-full"))
  (list "redis" "onlineStore.tls" .Values.onlineStore.tls) }}
{{- $values := get $.Values (index $store 0) | default dict }}
{{- if and (or (not $values.enabled) ($values.tls).enabled) (not (index $store 2)) }}
{{- $open = append $open (printf "Whether it talks to the right server is not checked (%s)." (index $store 1)) }}
{{- end }}
{{- end }}
{{- if not (or .Values.minio.enabled (hasPrefix "https://" .Values.s3.endpoint)) }}
{{- $open = append $open (printf "Connections to %s are not encrypted (s3.endpoint)." .Values.s3.endpoint) }}
{{- end }}
{{- if .Values.minio.enabled }}
{{- $open = append $open "MinIO gets no repairs any more: keep it for development, and real data in an S3 of a provider." }}
{{- end }}
{{- if .Values.source.sample.enabled }}
{{- $open = append $open "Users and journal entries come from a sample, not from a product's API (source.sample)." }}
{{- end }}
{{- range $open }}
  - {{ . }}
{{- else }}
  Nothing that this chart knows of.
{{- end }}
{{- end -}}
