# shellcheck shell=bash
# Only where HARDENING_FILES is set.
# The CIS items of recipe/hardening.yaml.
install_files "$HARDENING_FILES" /
chmod 0600 /etc/ssh/sshd_config.d/05-node-image-cis.conf
mkdir --parents /run/sshd
sshd -t || die "sshd does not take /etc/ssh/sshd_config.d/05-node-image-cis.conf"
say "$(jq --raw-output '[.[] | scan("# CIS")] | length' <<<"$HARDENING_FILES") items of the CIS benchmark"
