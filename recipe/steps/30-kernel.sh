# shellcheck shell=bash
# Modules and kernel settings that Kubernetes needs, loaded at each boot. Everything in /etc/sysctl.d: systemd 259 and
# newer no longer read /etc/sysctl.conf. In a container neither can take effect, so a failure to apply counts on real servers only.
install_text 0644 /etc/modules-load.d/kubernetes.conf <<'EOF'
overlay
br_netfilter
tcp_bbr
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
# the kernel takes the larger of `all` and an interface's own value: 1 here would defeat Cilium's 0 for lxc*
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.lxc*.rp_filter = 0
# many pods watch many files; search engines and databases map many
fs.inotify.max_user_instances = 8192
fs.inotify.max_user_watches = 524288
vm.max_map_count = 1048576
kernel.pid_max = 4194304
# ports of etcd, kubelet and the control plane: no outgoing connection may sit on them when they start
net.ipv4.ip_local_reserved_ports = 2379-2381,6443,10248-10250,10256-10259
net.core.default_qdisc = fq
net.ipv4.tcp_congestion_control = bbr
EOF
if [[ $MODULES ]]; then
    # shellcheck disable=SC2086 # a list of module names
    printf '%s\n' $MODULES | install_text 0644 /etc/modules-load.d/node-image.conf
fi
if [[ $SYSCTLS ]]; then
    install_text 0644 /etc/sysctl.d/92-node-image.conf <<<"$SYSCTLS"
fi
if ! systemd-detect-virt --quiet --container; then
    # shellcheck disable=SC2086 # a list of module names
    modprobe --all overlay br_netfilter tcp_bbr $MODULES
    sysctl --quiet --system
fi
say "modules and kernel settings of /etc/modules-load.d and /etc/sysctl.d"
