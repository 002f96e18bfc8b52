{{- define "semantic-epp.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "semantic-epp.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "semantic-epp.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "semantic-epp.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "semantic-epp.service" -}}
{{- default (include "semantic-epp.fullname" .) .Values.service.name -}}
{{- end -}}

{{- define "semantic-epp.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "semantic-epp.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "semantic-epp.configMap" -}}
{{- default (printf "%s-config" (include "semantic-epp.fullname" .)) .Values.configuration.existingConfigMap -}}
{{- end -}}

{{- define "semantic-epp.selector" -}}
app.kubernetes.io/name: {{ include "semantic-epp.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "semantic-epp.labels" -}}
{{ include "semantic-epp.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* Whether the picker asks Kubernetes for endpoints. */ -}}
{{- define "semantic-epp.watches" -}}
{{- if ne .Values.endpoints.from "file" }}true{{ end -}}
{{- end -}}

{{- /* What the schema cannot say. */ -}}
{{- define "semantic-epp.check" -}}
{{- with .Values.shutdown -}}
{{- if le (int .terminationGracePeriodSeconds) (add (int .delaySeconds) (int .drainTimeoutSeconds)) -}}
{{- fail (printf "shutdown.terminationGracePeriodSeconds is %d: Kubernetes would kill the picker before delaySeconds and drainTimeoutSeconds (%d together) are over; raise it" (int .terminationGracePeriodSeconds) (add (int .delaySeconds) (int .drainTimeoutSeconds))) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.endpoints.from "pools") (not .Values.endpoints.pools) -}}
{{- fail "endpoints.from is pools, and endpoints.pools names none" -}}
{{- end -}}
{{- if and (eq .Values.endpoints.from "selector") (not (and .Values.endpoints.selector .Values.endpoints.targetPorts)) -}}
{{- fail "endpoints.from is selector: it needs endpoints.selector and endpoints.targetPorts" -}}
{{- end -}}
{{- if and (eq .Values.model.from "pvc") (not .Values.model.pvc.claimName) -}}
{{- fail "model.from is pvc: it needs model.pvc.claimName" -}}
{{- end -}}
{{- if and (eq .Values.model.from "image") (not .Values.model.image.reference) -}}
{{- fail "model.from is image: it needs model.image.reference" -}}
{{- end -}}
{{- if and (eq .Values.model.from "init") (not .Values.model.init.image) -}}
{{- fail "model.from is init: it needs model.init.image" -}}
{{- end -}}
{{- if and .Values.leaderElection.enabled (not (include "semantic-epp.watches" .)) -}}
{{- fail "leaderElection.enabled needs Kubernetes, and endpoints.from is file" -}}
{{- end -}}
{{- if eq (include "semantic-epp.service" .) .Values.service.dropInName -}}
{{- fail (printf "service.dropInName is %s, as the Service itself" .Values.service.dropInName) -}}
{{- end -}}
{{- $pools := list -}}
{{- range .Values.inferencePools -}}{{- $pools = append $pools .name -}}{{- end -}}
{{- with .Values.httpRoute -}}
{{- if .enabled -}}
{{- if not .defaultPool -}}
{{- fail "httpRoute.defaultPool is empty: requests without x-selected-model would reach no pool, and so no picker" -}}
{{- end -}}
{{- if and $pools (not (has .defaultPool $pools)) -}}
{{- fail (printf "httpRoute.defaultPool %s is none of inferencePools" .defaultPool) -}}
{{- end -}}
{{- range .models -}}
{{- if and $pools (not (has .pool $pools)) -}}
{{- fail (printf "httpRoute.models: pool %s is none of inferencePools" .pool) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
