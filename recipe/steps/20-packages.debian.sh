# shellcheck shell=bash
# The system's own packages as they are now (or at `asOf`), and what kubeadm, kubelet, kube-proxy, CNI and CSI plugins call.
# Before rpcbind can start, which nfs-common brings: NFS 4 does without it, and Hetzner's abuse team writes to owners of open ones.
systemctl mask --quiet rpcbind.service rpcbind.socket
# Debian 13 mounts /run/lock while it boots. What LVM wrote there a moment before was gone, and its unit failed, now and then.
install_text 0644 /etc/systemd/system/lvm2-monitor.service.d/10-after-locks.conf <<'EOF'
[Unit]
RequiresMountsFor=/run/lock
EOF
# Where an earlier attempt was cut off apt would refuse everything until dpkg has ended what it began; what of that waits for other
# packages, --fix-broken brings.
dpkg --configure --pending --force-confdef --force-confold >/dev/null || true
# An archive that does not answer is an error: without it the image would lack its upgrades, and nobody would know.
from_archives apt-get update --quiet=2 --error-on=any
from_archives apt-get dist-upgrade --quiet=2 --yes --fix-broken --allow-downgrades
# shellcheck disable=SC2086 # a list of package names
from_archives apt-get install --quiet=2 --yes --allow-downgrades $PACKAGES
say "installed: $PACKAGES"
