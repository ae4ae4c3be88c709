# shellcheck shell=bash
# The kubeadm configuration of the tests.

# own_address: the one by which this server reaches others, or nothing.
own_address() { ip -json route get 1.1.1.1 2>/dev/null | jq --raw-output '.[0].prefsrc // empty' || true; }

# kubeadm_configuration IGNORED: $KUBEADM with what only the server knows. IGNORED is a JSON list of preflight errors.
# A node with cloud-provider=external has no address until its cloud's controller manager gives it one, and no such thing comes to
# the clusters of these tests.
kubeadm_configuration() {
    jq --raw-output --arg address "$(own_address)" --argjson ignored "$1" --arg kubelet "${KUBELET_SECONDS}s" --arg cluster "${CLUSTER_SECONDS}s" '.[]
    | if .nodeRegistration == null then . else
        .timeouts = {kubeletHealthCheck: $kubelet, kubernetesAPICall: $kubelet, controlPlaneComponentHealthCheck: $cluster,
            discovery: $cluster, tlsBootstrap: $cluster} + .timeouts
        | .nodeRegistration.ignorePreflightErrors += $ignored
        | if $address == "" or any(.nodeRegistration.kubeletExtraArgs[]?; .name == "node-ip") then .
          else .nodeRegistration.kubeletExtraArgs += [{name: "node-ip", value: $address}] end
      end
    | "---", tojson' <<<"$KUBEADM"
}
