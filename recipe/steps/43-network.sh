# shellcheck shell=bash
# systemd-networkd would remove the routes and rules that Cilium adds, whenever it restarts.
install_text 0644 /etc/systemd/networkd.conf.d/90-node-image.conf <<'EOF'
[Network]
ManageForeignRoutes=no
ManageForeignRoutingPolicyRules=no
EOF
# Hetzner hands out more name servers than the three that kubelet and libc take, and kubelet would warn for every pod.
# kubelet hands this file to pods that use the node's name servers (see the step `kubelet-defaults`).
install_text 0644 /etc/kubernetes/resolv.conf <<'EOF'
nameserver 185.12.64.1
nameserver 185.12.64.2
nameserver 2a01:4ff:ff00::add:1
EOF
say "foreign routes stay; three name servers for pods"
