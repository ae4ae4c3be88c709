# shellcheck shell=bash
# Who changed what makes this machine a node.
install_text 0640 /etc/audit/rules.d/50-node-image.rules <<<"$AUDIT_RULES"
systemctl enable --quiet auditd.service
say "audit rules for Kubernetes, containerd and units"
