{{/* Labels of what is ours: (dict "root" $ "name" <name> "component" <component>). */}}
{{- define "terrane.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end -}}

{{/* Without the chart's version, which would restart every pod at a new one. */}}
{{- define "terrane.podLabels" -}}
{{ include "terrane.selector" . }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: terrane
{{- end -}}

{{- define "terrane.labels" -}}
{{ include "terrane.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* A repository in another registry, in place of its own; as it is without one: (list <registry> <repository>). */}}
{{- define "terrane.moved" -}}
{{- $registry := index . 0 }}{{ $repository := index . 1 -}}
{{- if or (not $registry) (hasPrefix (printf "%s/" $registry) $repository) -}}
{{- $repository -}}
{{- else -}}
{{- printf "%s/%s" $registry (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- end -}}

{{/*
Three of the Dagster chart's own helpers, with ours in their place, so that `global.imageRegistry` moves its images with all
others. The first names the images of webserver, daemon, workers and code locations. Of the others a helper sees nothing but
the image, so they are moved beforehand: where the labels come from, with which every object begins.
*/}}
{{- define "dagster.dagsterImage.name" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- include "terrane.moved" (list $root.Values.global.imageRegistry $image.repository) -}}
{{- with $image.digest }}@{{ . }}{{ else }}:{{ $image.tag | default $root.Chart.Version | toString }}{{ end -}}
{{- end -}}

{{/*
The third is the daemon's command, with what brings Dagster's tables to the version of its image before it. There, and not in a
hook: it has this release's configuration and passwords, at a first install over old volumes and after a restore too, and one
daemon runs at a time. A file tells the startup probe that it is done.
*/}}
{{- define "dagster.dagsterDaemon.daemonCommand" -}}
rm -f /tmp/migrated && dagster instance migrate && touch /tmp/migrated && exec dagster-daemon run
{{- if (index .Values "dagster-user-deployments").enabled }} -w /dagster-workspace/workspace.yaml {{- end -}}
{{- with .Values.dagsterDaemon.logFormat }} --log-format {{ . }} {{- end -}}
{{- end -}}

{{/*
What takes away the Jobs of runs that have ended while their pods have not: a container beside the daemon, by its image and its
account. It goes into the daemon's values beforehand as well, once, before whatever containers are given there.
*/}}
{{- define "terrane.runPods" -}}
name: run-pods
image: {{ include "dagster.dagsterImage.name" (list $ .Values.dagsterDaemon.image) | quote }}
imagePullPolicy: {{ .Values.dagsterDaemon.image.pullPolicy }}
command: [python, -m, terrane.pods.run_pods]
env:
  - {name: UI_URL, value: {{ printf "http://%s:%v%s" (include "dagster.webserver.fullname" .) .Values.dagsterWebserver.service.port (.Values.dagsterWebserver.pathPrefix | default "") | quote }}}
securityContext: {{- toJson .Values.dagsterDaemon.securityContext | nindent 2 }}
# A file that it touches after each round. Without one for five minutes it hangs.
livenessProbe:
  exec: {command: [sh, -c, 'test -n "$(find /tmp/run-pods -mmin -5)"']}
  initialDelaySeconds: 300
  periodSeconds: 60
  # Starting a shell takes more than the second it would have on a node that others fill.
  timeoutSeconds: 20
  failureThreshold: 5
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {memory: 64Mi}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "dagster.chart" -}}
{{- with .Values.dagsterDaemon -}}
{{- if not .hasRunPods -}}
{{- $_ := set . "hasRunPods" true -}}
{{- $_ := set . "extraContainers" (prepend (.extraContainers | default list) (include "terrane.runPods" $ | fromYaml)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.global.imageRegistry -}}
{{- $registry := . -}}
{{- with ($.Values.postgresql | default dict).image }}{{ $_ := set . "registry" $registry }}{{ end -}}
{{- range $user := list "busybox" "flower" -}}
{{- with (get $.Values $user | default dict).image -}}
{{- $_ := set . "repository" (include "terrane.moved" (list $registry .repository)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "terrane.webserver.name" -}}
{{- printf "%s-%s" .Release.Name (.Values.dagster.dagsterWebserver.nameOverride | default "dagster-webserver") | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The UI's address within the cluster. */}}
{{- define "terrane.webserver.url" -}}
{{- with .Values.dagster.dagsterWebserver -}}
{{- printf "http://%s:%v%s" (include "terrane.webserver.name" $) .service.port (.pathPrefix | default "") -}}
{{- end -}}
{{- end -}}

{{/* The first day that is ingested: the one given, the one of the first install, or the one of this install. */}}
{{- define "terrane.startDate" -}}
{{- $there := ((lookup "v1" "ConfigMap" .Release.Namespace "terrane-source-address").data | default dict).INGESTION_START_DATE -}}
{{- .Values.source.startDate | default $there | default (now | dateModify "-1440h" | date "2006-01-02") -}}
{{- end -}}

{{/* Who may ask for a login at the UI's address: the controller that does, and the annotations by which it is told to. */}}
{{- define "terrane.logins" -}}
nginx:
  controller: k8s.io/ingress-nginx
  annotations: [nginx.ingress.kubernetes.io/auth-url, nginx.ingress.kubernetes.io/auth-type]
traefik:
  controller: traefik.io/ingress-controller
  annotations: [traefik.ingress.kubernetes.io/router.middlewares]
alb:
  controller: ingress.k8s.aws/alb
  annotations: [alb.ingress.kubernetes.io/auth-type]
external: {}
{{- end -}}

{{/* A bucket as terrane.names has it in this environment: (list $ <bucket>). */}}
{{- define "terrane.bucket" -}}
{{- index . 1 }}{{ with (index . 0).Values.global.environment }}--{{ . }}{{ end -}}
{{- end -}}

{{/*
Refuses an environment that shares a server and would share Dagster's own database, whose tables have fixed names: one Dagster
would launch the runs of the other.
*/}}
{{- define "terrane.ownDagster" -}}
{{- $database := .Values.dagster.postgresql.postgresqlDatabase -}}
{{- $server := .Values.postgres.fullnameOverride -}}
{{- $host := .Values.dagster.postgresql.postgresqlHost -}}
{{- if and (eq $host (printf "%s-pooler" $server)) (not (and .Values.postgres.enabled .Values.postgres.pooler.enabled)) -}}
{{- fail (printf "dagster.postgresql.postgresqlHost: %s is the pooler of the chart's Postgres, and there is none; set it to %s" $host (ternary $server "your server's name" .Values.postgres.enabled)) -}}
{{- end -}}
{{- with .Values.global.environment -}}
{{- if and (not $.Values.postgres.enabled) (eq $database "dagster") -}}
{{- fail (printf "dagster.postgresql.postgresqlDatabase: the environment %s has no Postgres of its own, and dagster is the database of the environment without a name; set it to dagster__%s" . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The path of a store's `caFile` in a pod, which is a file of terrane-authorities or a path already: <store>. */}}
{{- define "terrane.caFile" -}}
{{- with .caFile }}{{ ternary . (printf "/etc/terrane/authorities/%s" .) (hasPrefix "/" .) }}{{ end -}}
{{- end -}}

{{/* Where those files come from, and go to. */}}
{{- define "terrane.authoritiesVolume" -}}
- name: authorities
  projected:
    sources:
      - configMap: {name: terrane-authorities, optional: true}
      - secret: {name: terrane-authorities, optional: true}
{{- end -}}
{{- define "terrane.authoritiesMount" -}}
- {name: authorities, mountPath: /etc/terrane/authorities, readOnly: true}
{{- end -}}

{{/* The address of Celery's broker, or of its results: (list $ <password> <database>). */}}
{{- define "terrane.celeryUrl" -}}
{{- $root := index . 0 }}{{ $celery := $root.Values.celery -}}
{{- printf "%s://%s:%s@%s:%v/%v" (ternary "rediss" "redis" $celery.tls) ($celery.user | urlquery) (index . 1 | urlquery) $celery.host $celery.port (index . 2) -}}
{{- if $celery.tls }}?ssl_cert_reqs=required
{{- with include "terrane.caFile" $celery }}&ssl_ca_certs={{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* A variable from a Secret: (list <variable> <secret> <key>). */}}
{{- define "terrane.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ index . 1 }}, key: {{ index . 2 }}}
{{- end -}}

{{/*
What each Secret of the platform holds, encoded, by purpose and key, as JSON: what is there, or where it is made, a new one. Kept
in the values, so that all templates of a render have the same. Letters and digits alone, since Feast splits its Redis
address and the registry's is a URL.
*/}}
{{- define "terrane.credentials" -}}
{{- if not (hasKey .Values "generatedCredentials") }}
{{- $secrets := dict
  "dagster" (dict "postgresql-password" "")
  "warehouse" (dict "WAREHOUSE_PASSWORD" "")
  "spatial" (dict "POSTGRES_PASSWORD" "")
  "redis" (dict "REDIS_PASSWORD" "")
  "s3" (dict "MINIO_ROOT_USER" "terrane" "MINIO_ROOT_PASSWORD" "")
  "source" (dict "API_KEY" "")
}}
{{- if .Values.s3.workloadIdentity }}{{ $_ := set $secrets "s3" dict }}{{ end }}
{{- range $store := list "postgres" "postgis" }}
{{- if (get $.Values $store).enabled }}{{ $_ := set $secrets $store (dict "postgres-password" "") }}{{ end }}
{{- end }}
{{- if eq .Values.dagster.runLauncher.type "CeleryK8sRunLauncher" }}
{{- $_ := set $secrets "broker" (dict "BROKER_PASSWORD" "") }}
{{- end }}
{{- $values := dict }}
{{- range $purpose, $keys := $secrets }}
{{- $there := (lookup "v1" "Secret" $.Release.Namespace (printf "terrane-%s" $purpose)).data | default dict }}
{{- $data := dict }}
{{- range $key, $fixed := $keys }}
{{- $value := get $there $key }}
{{- if and (get $.Values.credentials $purpose).create (not $value) }}
{{- $value = $fixed | default (printf "t%s" (randAlphaNum 31)) | b64enc }}
{{- end }}
{{- $_ := set $data $key $value }}
{{- end }}
{{- $_ := set $values $purpose $data }}
{{- end }}
{{- $_ := set .Values "generatedCredentials" $values }}
{{- end }}
{{- .Values.generatedCredentials | toJson }}
{{- end -}}

{{/* A word that changes with the Secrets of these purposes, for the pods that read them: (list $ <purpose> ...). */}}
{{- define "terrane.credentialsChecksum" -}}
{{- $values := include "terrane.credentials" (first .) | fromJson }}
{{- $own := dict }}
{{- range $purpose := rest . }}{{ $_ := set $own $purpose (get $values $purpose) }}{{ end }}
{{- $own | toJson | sha256sum }}
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
  annotations: {helm.sh/resource-policy: keep}
data:
  {{- range $key, $value := index . 2 }}
  {{ $key }}: {{ $value }}
  {{- end }}
{{- end -}}

{{/*
Refuses development volumes that pods of several nodes could not have at once: that many nodes, and neither an access mode for it
nor a class whose volumes lie on one node, to which Kubernetes then takes every pod that wants them.
*/}}
{{- define "terrane.oneNodeOrShared" -}}
{{- if and .Values.development.sharedSource (not (has "ReadWriteMany" .Values.development.accessModes)) -}}
{{- $nodes := 0 -}}
{{- range (lookup "v1" "Node" "" "").items -}}
{{- $taken := .spec.unschedulable -}}
{{- range .spec.taints }}{{ if eq .effect "NoSchedule" }}{{ $taken = true }}{{ end }}{{ end -}}
{{- if not $taken }}{{ $nodes = add1 $nodes }}{{ end -}}
{{- end -}}
{{- $name := .Values.development.storageClass | default .Values.global.storageClass -}}
{{- $provisioner := "" -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items -}}
{{- $default := eq (get (.metadata.annotations | default dict) "storageclass.kubernetes.io/is-default-class") "true" -}}
{{- if or (eq .metadata.name $name) (and (not $name) $default) }}{{ $provisioner = .provisioner }}{{ end -}}
{{- end -}}
{{- if and (gt (int $nodes) 1) (ne $provisioner "rancher.io/local-path") -}}
{{- fail (printf "development.sharedSource: pods run on %d nodes, and a volume of provisioner %q is on one at a time. Set development.accessModes to [ReadWriteMany] and development.storageClass to a class that has it, or take a cluster of one node" (int $nodes) $provisioner) -}}
{{- end -}}
{{- end -}}
{{- end -}}
