#!/bin/sh
# First process of a light machine, in namespaces of its own: puts its root together and goes on in there with init.sh.
# Usage: root.sh DIRECTORY HOST_NAME DISK_FULL. DIRECTORY has disk/base (a link to the base image), disk/upper, and run.
set -eu
cd "$1"
hostname "$2"
mkdir -p root work
if [ "$3" = yes ]; then
    # A fault on order: a small disk in memory, which init.sh fills through descriptor 9.
    mkdir -p full
    used=$(du -sk disk/upper | cut -f 1)
    mount -t tmpfs -o size=$((used + 32768))k,mode=700 full full
    mkdir full/work
    cp -a disk/upper full/upper
    mount -t overlay -o index=off,metacopy=off,lowerdir=disk/base,upperdir=full/upper,workdir=full/work overlay root
    exec 9>full/filler
else
    mount -t overlay -o index=off,metacopy=off,lowerdir=disk/base,upperdir=disk/upper,workdir=work overlay root
fi

cd root
mount -t tmpfs -o mode=755,nosuid,nodev run run
mkdir run/sandbox run/host-root
mount --bind -o ro ../run run/sandbox
pivot_root . run/host-root
exec chroot . /bin/sh /run/sandbox/init.sh
