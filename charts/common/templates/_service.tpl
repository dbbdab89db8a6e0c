{{/* A Service that clients use, to a port of a store's pod: (list $ <its name> <port name>). */}}
{{- define "common.service" -}}
{{- $root := index . 0 }}{{ $port := index . 2 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ index . 1 }}
  labels: {{- include "common.labels" $root | nindent 4 }}
spec:
  selector: {{- include "common.selector" $root | nindent 4 }}
  ports:
    - {name: {{ $port }}, port: {{ $root.Values.service.port }}, targetPort: {{ $port }}}
{{- end -}}

{{/* A store's Services: the one that clients use, and the one without an address that a StatefulSet wants: (list $ <port name>). */}}
{{- define "common.services" -}}
{{- $root := index . 0 }}{{ $port := index . 1 -}}
{{ include "common.service" (list $root (include "common.name" $root) $port) }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "common.headless" $root }}
  labels: {{- include "common.labels" $root | nindent 4 }}
spec:
  clusterIP: None
  # It names the pod from its start on, and not only once it is ready.
  publishNotReadyAddresses: true
  selector: {{- include "common.selector" $root | nindent 4 }}
  ports:
    - {name: {{ $port }}, port: {{ $root.Values.service.port }}, targetPort: {{ $port }}}
{{- end -}}

{{- define "common.headless" -}}
{{ include "common.name" . }}-headless
{{- end -}}
