# shellcheck shell=bash
# systemd-networkd would remove the routes and rules that Cilium adds, whenever it restarts.
install_text 0644 /etc/systemd/networkd.conf.d/90-node-image.conf <<EOF
[Network]
$NETWORKD
EOF
if [[ -d /etc/NetworkManager ]]; then
    install_text 0644 /etc/NetworkManager/conf.d/90-node-image.conf <<EOF
[keyfile]
unmanaged-devices+=$POD_INTERFACES
EOF
fi
# Hetzner hands out more name servers than the three that kubelet and libc take, and kubelet would warn for every pod.
# kubelet hands this file to pods that use the node's name servers (see the step `kubelet-defaults`).
# shellcheck disable=SC2086 # a list of addresses
printf 'nameserver %s\n' $NAME_SERVERS | install_text 0644 /etc/kubernetes/resolv.conf
say "foreign routes and interfaces of pods are left alone; three name servers for pods"
