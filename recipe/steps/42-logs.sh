# shellcheck shell=bash
# Logs that cannot fill a node's disk. Container logs are rotated by kubelet (containerLogMaxSize), and by nothing else: of two
# rotators one loses lines.
install_text 0644 /etc/systemd/journald.conf.d/90-node-image.conf <<'EOF'
[Journal]
Storage=persistent
SystemMaxUse=1G
SystemKeepFree=2G
MaxRetentionSec=1month
RateLimitIntervalSec=30s
RateLimitBurst=20000
EOF
install_text 0644 /etc/systemd/coredump.conf.d/90-node-image.conf <<'EOF'
[Coredump]
MaxUse=1G
EOF
say "journal and core dumps at most 1 GB each"
