# shellcheck shell=bash
# Modules and kernel settings that Kubernetes needs, loaded at each boot. Everything in /etc/sysctl.d: systemd 259 and
# newer no longer read /etc/sysctl.conf. In a container neither can take effect, so a failure to apply counts on real servers only.
install_text 0644 /etc/modules-load.d/kubernetes.conf <<'EOF'
overlay
br_netfilter
EOF
install_text 0644 /etc/sysctl.d/90-kubernetes.conf <<'EOF'
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1
# kubelet's protectKernelDefaults asks for these three
vm.overcommit_memory = 1
kernel.panic = 10
kernel.panic_on_oops = 1
fs.inotify.max_user_instances = 8192
fs.inotify.max_user_watches = 524288
EOF
if ! systemd-detect-virt --quiet --container; then
    modprobe --all overlay br_netfilter
    sysctl --quiet --load=/etc/sysctl.d/90-kubernetes.conf
fi
say "modules overlay, br_netfilter and the settings of /etc/sysctl.d/90-kubernetes.conf"
