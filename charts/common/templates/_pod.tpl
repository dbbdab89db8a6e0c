{{/*
The settings that every pod takes, in the values of its chart or section:

  imagePullSecrets, serviceAccountName, priorityClassName, nodeSelector, tolerations, affinity, topologySpreadConstraints,
  podAnnotations, podLabels, podSecurityContext, securityContext, resources, extraEnv, extraVolumes, extraVolumeMounts

`global.pod` holds the same for all pods of Terrane's charts: a pod's own maps go over it key by key, and its own list or
name replaces it. `global.arbitraryUserIds` leaves out user and group ids, for clusters that give each namespace its own.
*/}}

{{/* An image: (list $ <image>). A digest wins over a tag. */}}
{{- define "common.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- printf "%s/%s" ((($root.Values.global).imageRegistry) | default $image.registry) $image.repository -}}
{{- with $image.digest }}@{{ . }}{{ else }}:{{ $image.tag }}{{ end -}}
{{- end -}}

{{/* Maps laid over each other key by key, the last on top, as JSON: (list <map> ...). */}}
{{- define "common.over" -}}
{{- $joined := dict -}}
{{- range $layer := . }}{{ range $key, $value := $layer }}{{ $_ := set $joined $key $value }}{{ end }}{{ end -}}
{{- $joined | toJson -}}
{{- end -}}

{{/* All settings of a pod, as JSON: (list $ <section>). */}}
{{- define "common.settings" -}}
{{- $root := index . 0 }}{{ $own := index . 1 | default dict -}}
{{- $all := ($root.Values.global).pod | default dict -}}
{{- $pod := dict "podSecurityContext" (dict
  "runAsNonRoot" true "runAsUser" 1000 "runAsGroup" 1000 "fsGroup" 1000 "fsGroupChangePolicy" "OnRootMismatch"
  "seccompProfile" (dict "type" "RuntimeDefault")) -}}
{{- $_ := set $pod "securityContext" (dict
  "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL"))) -}}
{{- range $key := tuple "nodeSelector" "affinity" "podAnnotations" "podLabels" "resources" "podSecurityContext" "securityContext" -}}
{{- $layers := list (get $pod $key | default dict) (get $all $key | default dict) (get $own $key | default dict) -}}
{{- $_ := set $pod $key (include "common.over" $layers | fromJson) -}}
{{- end -}}
{{- range $key := tuple "tolerations" "topologySpreadConstraints" "extraEnv" "extraVolumes" "extraVolumeMounts" -}}
{{- $_ := set $pod $key (get $own $key | default (get $all $key) | default list) -}}
{{- end -}}
{{- range $key := tuple "serviceAccountName" "priorityClassName" -}}
{{- $_ := set $pod $key (get $own $key | default (get $all $key) | default "") -}}
{{- end -}}
{{- $_ := set $pod "imagePullSecrets"
  ($own.imagePullSecrets | default $root.Values.imagePullSecrets | default $all.imagePullSecrets | default list) -}}
{{- if ($root.Values.global).arbitraryUserIds -}}
{{- range $key := tuple "podSecurityContext" "securityContext" -}}
{{- $_ := set $pod $key (omit (get $pod $key) "runAsUser" "runAsGroup" "fsGroup" "fsGroupChangePolicy") -}}
{{- end -}}
{{- end -}}
{{- $pod | toJson -}}
{{- end -}}

{{/* A pod's metadata: (list $ <section> <labels> [<annotations>]). Labels that selectors go by win over a person's. */}}
{{- define "common.podMetadata" -}}
{{- $pod := include "common.settings" . | fromJson -}}
labels: {{- include "common.over" (list $pod.podLabels (index . 2 | fromYaml)) | fromJson | toYaml | nindent 2 }}
{{- $annotations := dict }}
{{- if gt (len .) 3 }}{{ $annotations = index . 3 }}{{ end }}
{{- with include "common.over" (list $pod.podAnnotations $annotations) | fromJson }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What a pod's specification takes beside containers and volumes: (list $ <section>). */}}
{{- define "common.podSpec" -}}
{{- $pod := include "common.settings" . | fromJson -}}
securityContext: {{- toYaml $pod.podSecurityContext | nindent 2 }}
{{- range $key := tuple "serviceAccountName" "priorityClassName" "imagePullSecrets" "nodeSelector" "affinity" "tolerations" "topologySpreadConstraints" }}
{{- with get $pod $key }}
{{ dict $key . | toYaml }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What a container takes beside its name, command, ports and probes: (list $ <section> <image>). */}}
{{- define "common.container" -}}
{{- $pod := include "common.settings" . | fromJson -}}
image: {{ include "common.image" (list (index . 0) (index . 2)) }}
imagePullPolicy: {{ (index . 2).pullPolicy }}
resources: {{- toYaml $pod.resources | nindent 2 }}
securityContext: {{- toYaml $pod.securityContext | nindent 2 }}
{{- end -}}

{{/* The items a person adds to a list: (list $ <section> "extraEnv" | "extraVolumes" | "extraVolumeMounts"). */}}
{{- define "common.extra" -}}
{{- with get (include "common.settings" . | fromJson) (index . 2) }}
{{- toYaml . }}
{{- end }}
{{- end -}}
