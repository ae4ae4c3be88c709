#!/bin/bash
# User data of a server that is measured: what `kubeadm init` does until kubelet runs. The server is alone, and nobody answers at
# the API server's address, as at the start of every `kubeadm init`. The last line on the console tells that kubelet is healthy.
set -Eeuo pipefail
configuration=/run/benchmark-kubeadm.yaml
# With a version kubeadm asks nobody on the internet for the latest one.
cat >"$configuration" <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $(kubeadm version --output short)
END
for phase in 'certs ca' 'kubeconfig kubelet' kubelet-start; do
    # shellcheck disable=SC2086 # a phase of two words
    kubeadm init phase $phase --config "$configuration"
done
# Without curl, whose start alone takes seconds where QEMU translates.
is_healthy() {
    {
        exec 3<>/dev/tcp/127.0.0.1/10248 && printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3 && grep --quiet '^ok' <&3
    } 2>/dev/null
}
until is_healthy; do sleep 0.5; done
echo node-image-benchmark: kubelet is healthy >/dev/console
