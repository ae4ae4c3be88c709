# shellcheck shell=bash
# What a boot of a cloud server can do without: docs/node.md has each with its seconds and its reason.
# Servers have no LVM volumes until somebody makes some; LVM then keeps a description of each volume group here.
install_text 0644 /etc/systemd/system/lvm2-monitor.service.d/20-where-volumes-are.conf <<'EOF'
[Unit]
ConditionDirectoryNotEmpty=/etc/lvm/backup
EOF

# confines_nothing FILE: whether its AppArmor profiles do no more than name a program or write to the log.
confines_nothing() {
    grep --quiet '^profile ' "$1" &&
        ! grep '^profile ' "$1" | grep --quiet --invert-match --extended-regexp 'flags=\([^)]*(unconfined|complain)'
}
# Debian brings some 100 such profiles, for programs of desktops, and a boot would compile them all. Ubuntu keeps programs from
# making namespaces, and these profiles are what lets some.
if [[ $DISTRIBUTION == debian && -d /etc/apparmor.d/disable ]]; then
    for file in /etc/apparmor.d/*; do
        [[ ! -f $file ]] || ! confines_nothing "$file" || ln --symbolic --force "$file" /etc/apparmor.d/disable/
    done
fi

# A third of what an initrd unpacks: the names of all hardware there is. udev reads them from the root file system.
if [[ -d /etc/initramfs-tools ]]; then
    printf '%s\n' '#!/bin/sh' '[ "$1" != prereqs ] || exit 0' \
        'rm -f "$DESTDIR/usr/lib/udev/hwdb.bin" "$DESTDIR/etc/udev/hwdb.bin"' |
        install_text 0755 /etc/initramfs-tools/hooks/node-image
    update-initramfs -u -k all >/dev/null
fi

# Nobody chooses from a menu. After a boot that failed, Ubuntu's GRUB would wait half a minute for somebody who does.
install_text 0644 /etc/default/grub.d/90-node-image.cfg <<'EOF'
GRUB_TIMEOUT=0
GRUB_TIMEOUT_STYLE=hidden
GRUB_RECORDFAIL_TIMEOUT=0
EOF
# The boot loader of a container is its host's.
systemd-detect-virt --quiet --container || ! command -v update-grub >/dev/null || update-grub 2>/dev/null

# Host keys of types that every client since 2014 takes: a key of RSA needs two large primes, which are found by trying.
# The root file system, which is grown to the size of the disk, need not be so before somebody may log in.
install_text 0644 /etc/cloud/cloud.cfg.d/90-node-image.cfg <<'EOF'
ssh_genkeytypes: [ed25519, ecdsa]
resize_rootfs: noblock
EOF
say "without profiles that confine nothing, hardware names in the initrd, GRUB's menu, host keys of RSA"
