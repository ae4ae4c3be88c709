# shellcheck shell=bash
# What kubeadm, kubelet, kube-proxy and CNI plugins call on a node.
apt-get update --quiet=2
# shellcheck disable=SC2086 # a list of package names
apt-get install --quiet=2 --yes $PACKAGES >/dev/null
say "installed: $PACKAGES"
