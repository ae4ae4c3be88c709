# shellcheck shell=bash
# kubelet, kubeadm and kubectl, with the units that kubeadm expects.
install_program "$KUBEADM_URL" "$KUBEADM_SHA256" kubeadm
install_program "$KUBELET_URL" "$KUBELET_SHA256" kubelet
install_program "$KUBECTL_URL" "$KUBECTL_SHA256" kubectl

install_text 0644 /etc/systemd/system/kubelet.service <<'EOF'
[Unit]
Description=kubelet: the Kubernetes node agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target containerd.service
# Until kubeadm has joined the node there is nothing to run: no endless restarts, no log full of failures.
ConditionPathExists=/var/lib/kubelet/config.yaml

[Service]
ExecStart=/usr/local/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
EOF
install_text 0644 /etc/systemd/system/kubelet.service.d/10-kubeadm.conf <<'EOF'
[Service]
# Empty until somebody sets them: systemd warns of variables that nobody sets.
Environment=KUBELET_KUBEADM_ARGS= KUBELET_EXTRA_ARGS=
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# kubeadm writes this file at init and join
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
# KUBELET_EXTRA_ARGS, for people
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
EOF
mkdir --parents /etc/kubernetes/manifests
systemctl daemon-reload
systemctl enable --quiet kubelet.service

wanted=$(kubeadm config images list --kubernetes-version "v$KUBERNETES_VERSION" | grep /pause:)
[[ $wanted == "$PAUSE_IMAGE" ]] ||
    die "kubeadm $KUBERNETES_VERSION wants $wanted, but recipe/catalog.yaml pins $PAUSE_IMAGE: correct 'pause' there"
say "Kubernetes $(kubeadm version --output short)"
