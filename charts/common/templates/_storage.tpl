{{/*
A store's volume. Its claim is an object of the chart, and no claim template of the StatefulSet, which nothing can change:
a larger `persistence.size` is a larger volume, where the storage class lets volumes grow. `helm uninstall` leaves the claim,
and the next install takes it up.
*/}}
{{- define "common.claim" -}}
{{- if and .Values.persistence.enabled (not .Values.persistence.existingClaim) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "common.claimName" . }}
  labels: {{- include "common.labels" . | nindent 4 }}
  annotations: {helm.sh/resource-policy: keep}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .Values.persistence.storageClassName | default ((.Values.global).storageClass) }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ .Values.persistence.size }}}
{{- end -}}
{{- end -}}

{{/* As the StatefulSet's own would be called. */}}
{{- define "common.claimName" -}}
{{- .Values.persistence.existingClaim | default (printf "data-%s-0" (include "common.name" .)) -}}
{{- end -}}

{{/* The volume `data`, as an item of a pod's volumes. */}}
{{- define "common.dataVolume" -}}
{{- if .Values.persistence.enabled -}}
- {name: data, persistentVolumeClaim: {claimName: {{ include "common.claimName" . }}}}
{{- else -}}
- {name: data, emptyDir: {{ toJson .Values.persistence.emptyDir }}}
{{- end -}}
{{- end -}}
