# shellcheck shell=bash
# The system's own packages as they are now, and what kubeadm, kubelet, kube-proxy, CNI and CSI plugins call.
# Before rpcbind can start, which nfs-utils brings: NFS 4 does without it, and Hetzner's abuse team writes to owners of open ones.
systemctl mask --quiet rpcbind.service rpcbind.socket
from_archives dnf --quiet --assumeyes upgrade
# shellcheck disable=SC2086 # a list of package names
from_archives dnf --quiet --assumeyes install $PACKAGES
systemctl disable --now --quiet firewalld.service 2>/dev/null || true
say "installed: $PACKAGES"
