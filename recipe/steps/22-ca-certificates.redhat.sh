# shellcheck shell=bash
# Only where CA_CERTIFICATES is set.
# Authorities that the stack file adds to those of the system; containerd and kubelet trust them too.
install_files "$CA_CERTIFICATES" /etc/pki/ca-trust/source/anchors
update-ca-trust extract
say "trusted"
