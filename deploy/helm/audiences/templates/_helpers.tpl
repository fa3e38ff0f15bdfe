{{- define "audiences.labels" -}}
app.kubernetes.io/name: audiences
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "audiences.config" -}}
{{- $own := dict "keyFile" "/run/secrets/audiences/key.pem" "adminAddress" "0.0.0.0:3010" "adminTls" true -}}
{{- if .Values.cluster -}}{{- $_ := set $own "journalKeyFile" "/run/secrets/audiences/journal.key" -}}{{- end -}}
{{- toPrettyJson (merge $own .Values.config) -}}
{{- end -}}
