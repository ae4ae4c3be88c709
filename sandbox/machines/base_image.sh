#!/bin/sh
# Last step of making a base image: $1 is its root. What one finds on a fresh Hetzner server, and no identity.
set -eu
root=$1
suite=$2

rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/hostname "$root"/var/lib/dbus/machine-id "$root"/var/lib/systemd/random-seed
: > "$root/etc/machine-id"
# The resolver's answer arrives under /run with each boot.
ln -sfn ../run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
echo "LANG=C.UTF-8" > "$root/etc/default/locale"
echo "PermitRootLogin prohibit-password" > "$root/etc/ssh/sshd_config.d/10-root.conf"

rm -f "$root/etc/apt/sources.list"
cat > "$root/etc/apt/sources.list.d/debian.sources" <<EOF
Types: deb
URIs: http://deb.debian.org/debian
Suites: $suite $suite-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: $suite-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
