# shellcheck shell=bash
# Modules and kernel settings that Kubernetes needs (recipe/defaults.yaml), loaded at each boot. Everything in /etc/sysctl.d:
# systemd 259 and newer no longer read /etc/sysctl.conf. In a container neither can take effect, so a failure to apply counts
# on real servers only.
# shellcheck disable=SC2086 # a list of module names
printf '%s\n' $DEFAULT_MODULES | install_text 0644 /etc/modules-load.d/kubernetes.conf
install_text 0644 /etc/sysctl.d/90-kubernetes.conf <<<"$DEFAULT_SYSCTLS"
if [[ $MODULES ]]; then
    # shellcheck disable=SC2086 # a list of module names
    printf '%s\n' $MODULES | install_text 0644 /etc/modules-load.d/node-image.conf
fi
if [[ $SYSCTLS ]]; then
    install_text 0644 /etc/sysctl.d/92-node-image.conf <<<"$SYSCTLS"
fi
if ! systemd-detect-virt --quiet --container; then
    # shellcheck disable=SC2086 # a list of module names
    modprobe --all $DEFAULT_MODULES $MODULES
    sysctl --quiet --system
fi
say "modules and kernel settings of /etc/modules-load.d and /etc/sysctl.d"
