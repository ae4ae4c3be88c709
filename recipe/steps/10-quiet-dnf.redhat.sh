# shellcheck shell=bash
# Takes dnf for ourselves: its timers would hold the lock in mid-build, and would upgrade a node behind the cluster's back
# later; an upgrade of a node is a new image.
systemctl mask --now --quiet dnf-makecache.timer dnf-automatic.timer dnf-automatic-install.timer
install_text 0644 /etc/dnf/dnf.conf <<'EOF'
[main]
gpgcheck=1
installonly_limit=2
clean_requirements_on_remove=True
install_weak_deps=False
retries=5
exclude=kubeadm kubelet kubectl cri-tools kubernetes-cni containerd containerd.io runc
EOF
say "dnf is ours"
