#!/usr/bin/env bash
# Installs the guides in a kind cluster from the repository's own manifests, with
# simulated model servers, sends the requests of requests.tsv, and compares model,
# replica and headers. Deletes the cluster in the end.
#
#   test/kind/run.sh [gie-istio] [istio-services]      default: both
#   KEEP=1 test/kind/run.sh gie-istio                  leave the cluster
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly cluster=semantic-epp-e2e namespace=semantic-epp
readonly istio=1.29.2 gateway_api=v1.4.1 gie=v1.5.0
readonly simulator=ghcr.io/llm-d/llm-d-inference-sim:v0.8.2
scratch=$(mktemp -d)
forward=
failed=0

say() { printf '\n== %s\n' "$*"; }

check_tools() {
	local missing=0 tool
	for tool in docker kind kubectl istioctl curl; do
		command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; missing=1; }
	done
	[ "$missing" = 0 ] || exit 2
	if [[ $(istioctl version --remote=false) != *"${istio%.*}."* ]]; then
		echo "istioctl is not ${istio%.*}: get it from github.com/istio/istio/releases/tag/$istio" >&2
		exit 2
	fi
	if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
		echo "the cluster $cluster is there already: kind delete cluster --name $cluster" >&2
		exit 2
	fi
}

clean_up() {
	local status=$?
	stop_forward
	if [ "$status" != 0 ] && kubectl config use-context "kind-$cluster" >/dev/null 2>&1; then
		kubectl get pods -A || true
		kubectl -n "$namespace" logs deployment/semantic-epp --tail 50 || true
		kubectl -n "$namespace" get gateways,httproutes,inferencepools -o yaml || true
	fi
	[ -n "${KEEP:-}" ] || kind delete cluster --name "$cluster" || true
	rm -rf "$scratch"
	exit "$status"
}

create_cluster() {
	say "cluster $cluster"
	kind create cluster --name "$cluster" --wait 120s
	kubectl config use-context "kind-$cluster"
	docker build -t semantic-epp:dev .
	docker pull "$simulator"
	kind load docker-image --name "$cluster" semantic-epp:dev "$simulator"
	kubectl apply --server-side -f "https://github.com/kubernetes-sigs/gateway-api/releases/download/$gateway_api/standard-install.yaml"
	kubectl apply --server-side -f "https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/$gie/manifests.yaml"
	istioctl install -y --set profile=minimal --set values.pilot.env.ENABLE_GATEWAY_API_INFERENCE_EXTENSION=true
}

install_guide() {
	say "guide $1"
	kubectl apply -k "manifests/kustomize/$1"
	kubectl -n "$namespace" apply -k manifests/models/sim
	kubectl -n "$namespace" wait --for=condition=Programmed gateway/inference-gateway --timeout=180s
	kubectl -n "$namespace" wait --for=condition=Available deployment --all --timeout=180s
}

remove_guide() {
	kubectl delete -k "manifests/kustomize/$1" --wait --timeout=180s
	if kubectl get namespace "$namespace" >/dev/null 2>&1; then
		echo "FAIL the clean-up of $1 leaves the namespace $namespace" >&2
		failed=1
	fi
}

# start_forward opens the gateway on a free port and sets url.
start_forward() {
	kubectl -n "$namespace" port-forward service/inference-gateway-istio :80 >"$scratch/forward" &
	forward=$!
	local port=
	for _ in $(seq 50); do
		port=$(sed -n 's/^Forwarding from 127.0.0.1:\([0-9]*\).*/\1/p' "$scratch/forward")
		[ -n "$port" ] && break
		sleep 0.2
	done
	[ -n "$port" ] || { echo "the gateway cannot be reached by port-forward" >&2; exit 1; }
	url=http://127.0.0.1:$port/v1/chat/completions
}

stop_forward() {
	[ -z "$forward" ] || kill "$forward" 2>/dev/null || true
	forward=
}

# header NAME of the last reply.
header() { tr -d '\r' <"$scratch/headers" | sed -n "s/^$1: //Ip" | tail -1; }

# ask MODEL PROMPT sets status, and leaves headers and body in the scratch folder.
ask() {
	status=$(curl -s -o "$scratch/body" -D "$scratch/headers" -w '%{http_code}' --max-time 30 "$url" \
		-H 'content-type: application/json' \
		-d "{\"model\": \"$1\", \"max_tokens\": 20, \"messages\": [{\"role\": \"user\", \"content\": \"$2\"}]}") || status=000
}

# expect WHAT GOT PATTERN
expect() {
	if ! [[ $2 =~ ^($3)$ ]]; then
		echo "  FAIL $1: got '$2', want $3"
		failed=1
	fi
}

send_requests() {
	local guide model prompt answers pods reason
	while IFS=$'\t' read -r guide model prompt answers pods reason; do
		[ "$guide" = "$1" ] || continue
		# Routes reach Envoy a little after the Gateway is Programmed.
		for _ in $(seq 30); do
			ask "$model" "$prompt"
			[[ $status == 404 || $status == 000 || $status == 503 ]] || break
			sleep 1
		done
		echo "$model: $prompt -> $(header x-inference-pod)"
		expect status "$status" 200
		expect pod "$(header x-inference-pod)" "$pods.*"
		expect x-vsr-selected-model "$(header x-vsr-selected-model)" "$answers"
		expect x-semantic-epp-reason "$(header x-semantic-epp-reason)" "$reason"
		expect 'model of the reply' "$(sed -n 's/.*"model": *"\([^"]*\)".*/\1/p' "$scratch/body" | head -1)" "$answers"
	done <test/kind/requests.tsv
}

check_tools
trap clean_up EXIT
create_cluster
[ $# -gt 0 ] || set -- gie-istio istio-services
for guide in "$@"; do
	install_guide "$guide"
	start_forward
	send_requests "$guide"
	stop_forward
	remove_guide "$guide"
done
if [ "$failed" != 0 ]; then
	say failed
	exit 1
fi
say "all requests were answered by the right model"
