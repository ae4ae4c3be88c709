# shellcheck shell=bash
# Only where HARDENING_FILES is set.
# The CIS items of recipe/hardening.yaml.
install_files "$HARDENING_FILES" /
chmod 0600 /etc/ssh/sshd_config.d/*-node-image-cis.conf
chmod 0600 /etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d/*.conf
mkdir --parents /run/sshd
sshd -t || die "sshd does not take /etc/ssh/sshd_config.d/*-node-image-cis.conf"
# shellcheck disable=SC2086 # a list of units
systemctl mask --quiet $HARDENING_UNITS
say "$(jq --raw-output 'keys | join(", ")' <<<"$HARDENING_FILES")"
