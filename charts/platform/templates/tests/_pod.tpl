{{/* A pod of `helm test`: (dict "root" $ "name" <name> "env" <text of its variables> "envFrom" <text>). It runs files/tests/<name>.py. */}}
{{- define "terrane.testPod" -}}
{{- $root := .root }}{{ $own := .root.Values.hooks.tests -}}
{{- $name := printf "terrane-test-%s" .name -}}
{{- $labels := include "terrane.labels" (dict "root" $root "name" $name "component" "test") -}}
{{- $annotations := dict "helm.sh/hook" "test" "helm.sh/hook-delete-policy" "before-hook-creation" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ $name }}
  {{- include "common.podMetadata" (list $root $own $labels $annotations) | nindent 2 }}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  {{- include "common.podSpec" (list $root $own) | nindent 2 }}
  containers:
    - name: {{ .name }}
      {{- include "common.container" (list $root $own $root.Values.platformImage) | nindent 6 }}
      command: [python, -c]
      args: [{{ $root.Files.Get (printf "files/tests/%s.py" .name) | toJson }}]
      {{- with .envFrom }}
      envFrom: {{- . | nindent 8 }}
      {{- end }}
      env:
        {{- .env | nindent 8 }}
        {{- include "common.extra" (list $root $own "extraEnv") | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- include "common.extra" (list $root $own "extraVolumeMounts") | nindent 8 }}
  volumes:
    - {name: tmp, emptyDir: {}}
    {{- include "common.extra" (list $root $own "extraVolumes") | nindent 4 }}
{{- end -}}
