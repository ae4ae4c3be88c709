# shellcheck shell=bash
# The level `cluster`: kubeadm makes a cluster of this one server, which is thrown away afterwards. Its node must become
# Ready, and a pod must run. Prints nothing unless it fails.
make_cluster() {
    kubeadm init --config /run/node-image/kubeadm.yaml >/run/node-image/kubeadm.log 2>&1 ||
        die "kubeadm init failed: $(tail --lines=30 /run/node-image/kubeadm.log)"
    export KUBECONFIG=/etc/kubernetes/admin.conf
    # The least network that makes a node Ready; what is tested is the node, not a network add-on.
    install_text 0644 /etc/cni/net.d/10-node-image-test.conflist <<'EOF'
{"cniVersion": "1.0.0", "name": "node-image-test", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
    # No cloud controller manager comes to this cluster, and it has no other node.
    kubectl taint nodes --all node-role.kubernetes.io/control-plane- node.cloudprovider.kubernetes.io/uninitialized- >/dev/null || true
    kubectl wait --for=condition=Ready nodes --all --timeout=300s >/dev/null ||
        die "the node is not Ready after 300 s: $(kubectl describe nodes | tail --lines=40)"
    kubectl run node-image-test --image="$PAUSE_IMAGE" --restart=Never >/dev/null
    kubectl wait --for=condition=Ready pod/node-image-test --timeout=180s >/dev/null ||
        die "the test pod is not Ready after 180 s: $(kubectl describe pod node-image-test | tail --lines=40)"
}

# Where even the pause image is out of reach no cluster can be made; on a sandbox's machine that is no fault of the image.
out_of_reach() {
    ! timeout 60 crictl pull "$PAUSE_IMAGE" >/run/node-image/pull.log 2>&1 && systemd-detect-virt --quiet --container
}
