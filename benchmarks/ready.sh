#!/bin/bash
# The last of a control plane's user data: tells on the serial console whether the server became a Ready node, and what booted it.
# Usage: ready.sh MARK SECONDS; MARK is the file that tells that kubeadm has ended well.
set -u
console=${CONSOLE:-/dev/ttyS0}
export KUBECONFIG=/etc/kubernetes/admin.conf
firmware=BIOS
[[ ! -d /sys/firmware/efi ]] || firmware=UEFI

tell() { printf 'node-image: %s\n' "$1" >>"$console"; }

# An API server that has much to do may be started anew by kubelet meanwhile, and refuses connections then.
until_ready() { until kubectl wait --for=condition=Ready nodes --all --timeout=600s; do sleep 1; done; }
export -f until_ready

if [[ ! -e $1 ]]; then
    tail --lines=25 /var/log/cloud-init-output.log >>"$console"
    tell 'no node, as kubeadm failed'
elif timeout "$2" bash -c until_ready; then
    tell "the node is Ready, booted by $firmware"
else
    kubectl describe nodes --request-timeout=20s | tail --lines=40 >>"$console"
    journalctl --boot --unit=kubelet.service --output=cat --no-pager --grep '^E' --lines=10 >>"$console"
    tell "no node, as it is not Ready within $2 s"
fi
