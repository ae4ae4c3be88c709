# shellcheck shell=bash
# kubelet refuses to start on a node with swap.
[[ ! -f /etc/fstab ]] || sed --in-place --regexp-extended '/^[^#]\S*\s+\S+\s+swap\s/d' /etc/fstab
systemctl mask --quiet swap.target
systemd-detect-virt --quiet --container || swapoff --all
say "swap is off for good"
