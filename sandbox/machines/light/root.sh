#!/bin/sh
# First process of a light machine, in namespaces of its own: moves into its root and goes on in there with init.sh.
# Usage: root.sh DIRECTORY HOST_NAME LITTLE_ROOM. DIRECTORY has disk/root, which disk.sh made, and run.
set -eu
hostname "$2"
cd "$1/disk/root"
[ "$3" = no ] || exec 9>../little/filler # init.sh fills the disk through it
mount -t tmpfs -o mode=755,nosuid,nodev,noexec run run
mkdir run/sandbox run/host-root
mount --bind -o ro ../../run run/sandbox
pivot_root . run/host-root
exec chroot . /bin/sh /run/sandbox/init.sh
