{{/* What the pods of the roles and of the migration have in common. */}}

{{- define "pointsman.environment" -}}
{{- range $variable, $reference := .secretRefs }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: {name: {{ $reference.name | quote }}, key: {{ $reference.key | quote }}}
{{- end }}
{{- range $variable, $value := .settings }}
- name: {{ $variable }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "pointsman.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pointsman.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "pointsman.placing" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "pointsman.files" -}}
{{- with .Values.rules }}
rules.toml: {{ . | quote }}
{{- end }}
{{- with .Values.schemas }}
schemas.toml: {{ . | quote }}
{{- end }}
{{- end }}
