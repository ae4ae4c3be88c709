# shellcheck shell=bash
# What a node of a CAPH cluster needs of kubelet. These flags come first, so that those of kubeadm (kubeletExtraArgs) and of
# people (/etc/default/kubelet) win.
mapfile -t flags <<<"$KUBELET_FLAGS"
[[ -z $KUBELET_FLAGS ]] || kubelet "${flags[@]}" --version >/dev/null ||
    die "kubelet $KUBERNETES_VERSION does not take ${flags[*]}: correct node.kubeletArguments in the stack file"
# systemd splits the variable into words at blanks, and in words as in a unit it takes quotes and backslashes for its own; in a unit %
# begins what it fills in.
words=$(printf '%s\n' "$KUBELET_FLAGS" | sed "s/[[:blank:]'\"\\\\]/\\\\&/g" | paste --serial --delimiters=' ')
quoted=$(say "$words" | sed 's/[\\"]/\\&/g; s/%/%%/g')
install_text 0644 /etc/systemd/system/kubelet.service.d/20-node-image.conf <<EOF
[Service]
Environment="KUBELET_NODE_IMAGE_ARGS=$quoted"
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
say "kubelet ${words:-with no flags of ours}"
