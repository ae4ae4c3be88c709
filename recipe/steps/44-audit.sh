# shellcheck shell=bash
# Who changed what makes this machine a node.
install_text 0640 /etc/audit/rules.d/50-node-image.rules <<'EOF'
-w /etc/kubernetes/ -p wa -k kubernetes
-w /etc/containerd/ -p wa -k containerd
-w /etc/cni/ -p wa -k cni
-w /etc/systemd/system/ -p wa -k units
-w /usr/local/bin/kubelet -p wax -k kubernetes
-w /usr/local/bin/containerd -p wa -k containerd
-w /usr/local/bin/runc -p wa -k containerd
EOF
systemctl enable --quiet auditd.service
say "audit rules for Kubernetes, containerd and units"
