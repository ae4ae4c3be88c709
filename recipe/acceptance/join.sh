# shellcheck shell=bash
# The level `join`: a second server of the same snapshot joins the cluster that the first one has made. PART is what this server
# does, UNIQUE what must differ (unique.yaml), KUBEADM kubeadm's configuration. The parts follow each other in this order, and each prints a JSON object, which the next ones get in a variable:
#   invite         the first server: what a node needs to join (INVITATION), and what it has for itself
#   introduce      the second: its name and address (INTRODUCTION), where nothing is equal on both that must not be
#   join_cluster   the second: becomes a node (JOINED)
#   meet           the first: pods on both nodes reach each other; prints the report
report=/run/node-image
KUBELET_SECONDS=${KUBELET_SECONDS:-120}
CLUSTER_SECONDS=${CLUSTER_SECONDS:-900}
# The ends of the tunnel between the pods, and the pods' addresses.
first_end=10.244.255.254 second_end=10.244.255.253
first_pods=10.244.0.0/24 second_pods=10.244.1.0/24
began=$(date +%s%N)
mkdir --parents "$report"
: >"$report/kubeadm.log"

# of JSON PATH: the text at a place of an object.
of() { jq --raw-output "$2" <<<"$1"; }

# own_values: what this server has for itself: a JSON map of the names in UNIQUE to lists of lines.
own_values() {
    local item
    jq --compact-output '.[]' <<<"$UNIQUE" | while IFS= read -r item; do
        bash -c "$(of "$item" .command)" </dev/null 2>/dev/null | jq --raw-input . |
            jq --slurp --argjson item "$item" '{($item.name): unique}' || true
    done | jq --slurp add
}

# refuse_twins VALUES: ends where this server has something in common with the other one, whose values these are.
refuse_twins() {
    jq --raw-output --argjson ours "$(own_values)" --argjson theirs "$1" '.[]
        | .why as $why | .name as $name | $ours[$name] as $mine | ($mine - ($mine - $theirs[$name])) as $shared
        | if $shared != [] then "failed: \($name) is the same on two servers of the image: \($shared | join(", "))\n  \($why)"
          elif (.optional | not) and ($mine == [] or $theirs[$name] == []) then "failed: \($name) is missing on a server of the image: \(.command)"
          else empty end' <<<"$UNIQUE" >"$report/twins"
    [[ -s $report/twins ]] || return 0
    cat "$report/twins" >&2
    die "$(grep --count ^failed: "$report/twins") acceptance tests failed: these must differ between two servers of one image, and be there on both"
}

invite() {
    local endpoint token hash
    must 'kubeadm makes no token to join with' kube-apiserver kubeadm token create --print-join-command
    read -r _ _ endpoint _ token _ hash < <(grep '^kubeadm join ' "$report/must.log")
    rm "$report/must.log"
    jq --null-input --compact-output --arg endpoint "$endpoint" --arg token "$token" --arg hash "$hash" --arg address "$(own_address)" \
        --argjson unique "$(own_values)" '{address: $address, unique: $unique,
            discovery: {bootstrapToken: {apiServerEndpoint: $endpoint, token: $token, caCertHashes: [$hash]}}}'
}

introduce() {
    cloud-init status --wait >/dev/null || [[ $? -eq 2 ]] || die "cloud-init failed: $(cloud-init status --long)"
    refuse_twins "$(of "$INVITATION" .unique)"
    jq --null-input --compact-output --arg address "$(own_address)" --arg name "$(hostname)" '{address: $address, name: $name}'
}

# is_ready NODE
is_ready() {
    [[ $(kubectl get node "$1" --output jsonpath='{.status.conditions[?(@.type=="Ready")].status}') == True ]]
}
export -f is_ready

join_cluster() {
    export KUBECONFIG=/etc/kubernetes/kubelet.conf
    # An attempt before this one, whose connection was lost, may have come as far as this.
    [[ ! -e /etc/kubernetes/pki/ca.crt ]] || kubeadm reset --force >"$report/kubeadm.log" 2>&1
    KUBEADM=$(jq --argjson invitation "$INVITATION" 'map(.discovery = $invitation.discovery)' <<<"$KUBEADM")
    kubeadm_configuration '[]' | install_text 0600 "$report/kubeadm-join.yaml"
    began=$(date +%s%N)
    timeout "$CLUSTER_SECONDS" kubeadm join --config "$report/kubeadm-join.yaml" >"$report/kubeadm.log" 2>&1 ||
        give_up 'kubeadm join failed'
    pod_network "$second_pods"
    tunnel "$second_end" "$first_end" "$first_pods" "$(of "$INVITATION" .address)"
    must 'the node that joined is not Ready' kube-proxy is_ready "$(hostname)"
    jq --null-input --compact-output --argjson seconds "$(since)" '{join: $seconds}'
}

meet() {
    local second
    second=$(of "$INTRODUCTION" .name)
    tunnel "$first_end" "$second_end" "$second_pods" "$(of "$INTRODUCTION" .address)"
    must 'the node that joined is not Ready' 'kube-apiserver kube-controller-manager' \
        kubectl wait --for=condition=Ready "node/$second" --timeout="$(left)s"
    must 'kube-proxy does not run on both nodes' 'kube-proxy kube-apiserver' \
        kubectl --namespace kube-system rollout status daemonset/kube-proxy
    { test_pod second "$second" && test_service node-image-second second; } >"$report/second.yaml"
    must 'the pod of the second node was refused' kube-apiserver kubectl apply --filename "$report/second.yaml"
    must 'the pod on the second node is not Ready' 'second kube-apiserver' \
        kubectl wait --for=condition=Ready pod/second --timeout="$(left)s"
    ask_service second node-image server
    ask_service client node-image-second second
    must 'kubectl logs does not show what the pod on the second node printed' kube-apiserver \
        bash -c 'kubectl logs second | grep --quiet serving'
    jq --compact-output --argjson seconds "$JOINED" '{passed: length, total: length, level: "join", seconds: $seconds}' <<<"$UNIQUE"
}

"$PART"
