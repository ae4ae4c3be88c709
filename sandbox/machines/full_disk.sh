#!/bin/sh
# A fault on order: runs COMMAND with a disk that gets full once the machine has booted. Usage: full_disk.sh DISK COMMAND...
# In a mount namespace of its own: over the disk lies a small layer in memory, and a file beside that layer takes all the rest.
set -eu
disk=$1
shift
cd "$disk"
mount -t tmpfs -o size=48m,mode=700 full mnt
mkdir mnt/upper mnt/work
exec 9> mnt/filler
mount -t overlay -o index=off,metacopy=off,lowerdir=.,upperdir=mnt/upper,workdir=mnt/work overlay "$disk"
cd "$disk"

# Nobody's child, so that the machine's first process is the only one of its supervisor; it ends with the machine.
machine=$$
(
    (
        while [ ! -e var/lib/cloud/instance/boot-finished ]; do
            kill -0 "$machine" 2> /dev/null || exit 0
            sleep 0.2
        done
        cat /dev/zero >&9 2> /dev/null
    ) &
)
exec 9>&-
exec "$@"
