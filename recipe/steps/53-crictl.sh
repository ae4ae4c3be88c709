# shellcheck shell=bash
# The command line for CRI; kubeadm's preflight uses it.
unpack "$CRICTL_URL" "$CRICTL_SHA256" /usr/local/bin
install_text 0644 /etc/crictl.yaml <<'EOF'
runtime-endpoint: unix:///run/containerd/containerd.sock
image-endpoint: unix:///run/containerd/containerd.sock
timeout: 10
EOF
crictl --version
