#!/bin/sh
# Starts QEMU. Usage: vm.sh RUN LABEL DISK COMMAND...
# Of the files in RUN/seed it makes the disc RUN/seed.iso, by whose label cloud-init finds it. The command line is given the
# layer of DISK that is written to now: it is another one after a snapshot, also when the machine starts again. So it is with
# the volumes in RUN/volumes.
set -eu
run=$1
label=$2
disk=$3
shift 3
xorriso -as genisoimage -quiet -volid "$label" -joliet -rock -output "$run/seed.iso" "$run/seed" >"$run/seed.log" 2>&1 || {
    cat "$run/seed.log"
    exit 1
}
for volume in "$run"/volumes/*/; do
    [ -d "$volume" ] || continue
    set -- "$@" -blockdev "$(cat "$volume/node")" -device "$(cat "$volume/device")"
done
exec setpriv --pdeathsig KILL "$@" \
    -drive "if=none,id=root,file=$(readlink "$disk/top"),format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap"
