# shellcheck shell=bash
# Logs that cannot fill a node's disk. Container logs are rotated by kubelet (containerLogMaxSize), and by nothing else: of two
# rotators one loses lines.
install_text 0644 /etc/systemd/journald.conf.d/90-node-image.conf <<EOF
[Journal]
$JOURNALD
EOF
install_text 0644 /etc/systemd/coredump.conf.d/90-node-image.conf <<EOF
[Coredump]
$COREDUMP
EOF
say "journal and core dumps at most 1 GB each"
