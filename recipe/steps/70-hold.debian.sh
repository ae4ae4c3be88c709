# shellcheck shell=bash
# Nothing may replace these programs behind kubeadm's back, whatever repository a user adds: an upgrade is a new image.
install_text 0644 /etc/apt/preferences.d/node-image <<EOF
Explanation: installed from upstream's own files, see /etc/node-image.json
Package: $HELD
Pin: release *
Pin-Priority: -1
EOF
say "held: $HELD"
