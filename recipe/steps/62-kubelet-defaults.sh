# shellcheck shell=bash
# What a node of a CAPH cluster needs of kubelet. These flags come first, so that those of kubeadm (kubeletExtraArgs) and of
# people (/etc/default/kubelet) win.
# shellcheck disable=SC2086 # a list of flags
[[ -z $KUBELET_FLAGS ]] || kubelet $KUBELET_FLAGS --version >/dev/null ||
    die "kubelet $KUBERNETES_VERSION does not take $KUBELET_FLAGS: correct node.kubeletArguments in the stack file"
install_text 0644 /etc/systemd/system/kubelet.service.d/20-node-image.conf <<EOF
[Service]
Environment="KUBELET_NODE_IMAGE_ARGS=$KUBELET_FLAGS"
ExecStart=
ExecStart=/usr/local/bin/kubelet \$KUBELET_NODE_IMAGE_ARGS \$KUBELET_KUBECONFIG_ARGS \$KUBELET_CONFIG_ARGS \$KUBELET_KUBEADM_ARGS \$KUBELET_EXTRA_ARGS
EOF
# cloud-init runs kubeadm in these units, and kubeadm needs containerd.
for unit in cloud-config cloud-final; do
    install_text 0644 "/etc/systemd/system/$unit.service.d/10-after-containerd.conf" <<'EOF'
[Unit]
Wants=containerd.service
After=containerd.service
EOF
done
systemctl daemon-reload
say "kubelet ${KUBELET_FLAGS:-with no flags of ours}"
