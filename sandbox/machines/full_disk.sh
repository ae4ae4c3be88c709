#!/bin/sh
# A fault on order: runs COMMAND over a disk with little room. Usage: full_disk.sh DISK COMMAND...
# In a mount namespace of its own: over the disk lies a small layer in memory, which the machine fills when it has booted.
set -eu
disk=$1
shift
cd "$disk"
mount -t tmpfs -o size=48m,mode=700 full mnt
mkdir mnt/upper mnt/work
mount -t overlay -o index=off,metacopy=off,lowerdir=.,upperdir=mnt/upper,workdir=mnt/work overlay "$disk"
cd /
exec "$@"
