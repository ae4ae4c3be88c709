# shellcheck shell=bash
# The kubeadm configuration of the tests.

# own_address: the one by which this server reaches others, or nothing.
own_address() { ip -json route get 1.1.1.1 2>/dev/null | jq --raw-output '.[0].prefsrc // empty' || true; }

# cpx12 has one; kubeadm makes no control plane there, but a worker of it is well.
has_processors_for_a_cluster() { [[ $(nproc) -ge 2 ]]; }

# no_fault_of_the_image: the preflight errors that tell of this server alone, as a JSON list. Kernel settings and the kernel's own
# configuration belong to the host of a container: nothing of ours can set them there.
no_fault_of_the_image() {
    local names=()
    if systemd-detect-virt --quiet --container; then
        names+=(SystemVerification FileContent--proc-sys-net-ipv4-ip_forward FileContent--proc-sys-net-bridge-bridge-nf-call-iptables)
    fi
    has_processors_for_a_cluster || names+=(NumCPU)
    printf '%s\n' "${names[@]}" | jq --raw-input --null-input --compact-output '[inputs | select(. != "")]'
}

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
