#!/bin/sh
# Puts a disk together at DISK/root and runs COMMAND. Usage: disk.sh DISK LITTLE_ROOM COMMAND...
# In a mount namespace of its own, so that nothing stays mounted. DISK has what disks.py says.
# LITTLE_ROOM ("yes" or "no") is a fault on order: over the disk lies a small layer in memory, for the machine to fill.
set -eu
disk=$1
little_room=$2
shift 2
cd "$disk"
mkdir -p root work plain
[ -d upper ] || mkdir -m 755 upper # it is the machine's /

[ -d base/ ] || {
    echo "the base image $(readlink base) is gone from the cache; start anew with: python -m sandbox reset" >&2
    exit 1
}
layers=base
for layer in frozen/*; do
    [ ! -d "$layer" ] || layers=$layer:$layers
done
upper=upper
work=work
if [ "$little_room" = yes ]; then
    mkdir -p little
    mount -t tmpfs -o size=48m,mode=700 little little
    mkdir little/upper little/work
    layers=upper:$layers
    upper=little/upper
    work=little/work
fi
mount -t overlay -o "index=off,metacopy=off,lowerdir=$layers,upperdir=$upper,workdir=$work" overlay root

# containerd makes overlays of its own, which an overlay cannot hold.
mkdir -p root/var/lib/containerd
mount --bind plain root/var/lib/containerd
cd /
exec "$@"
