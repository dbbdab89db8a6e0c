{{/* A store's Services: the one that clients use, and the one without an address that a StatefulSet wants: (list $ <port name>). */}}
{{- define "common.services" -}}
{{- $root := index . 0 }}{{ $port := index . 1 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "common.name" $root }}
  labels: {{- include "common.labels" $root | nindent 4 }}
spec:
  selector: {{- include "common.selector" $root | nindent 4 }}
  ports:
    - {name: {{ $port }}, port: {{ $root.Values.service.port }}, targetPort: {{ $port }}}
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
