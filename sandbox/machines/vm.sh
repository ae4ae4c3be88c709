#!/bin/sh
# Starts QEMU. Usage: vm.sh RUN LABEL DISK COMMAND...
# Of the files in RUN/seed it makes the disc RUN/seed.iso, by whose label cloud-init finds it. The command line is given the
# layer of DISK that is written to now: it is another one after a snapshot, also when the machine starts again. So it is with
# the volumes in RUN/volumes.
# RUN/rescue, where it is there, makes this start one of the rescue system (see vm_rescue.py); the next is one from the disk.
set -eu
run=$1
label=$2
disk=$3
shift 3
seed=$run/seed
if [ -d "$run/rescue" ]; then
    rescue=$run/rescue-booted
    mv "$run/rescue" "$rescue"
    seed=$rescue/seed
    qemu-img create -q -f qcow2 -F qcow2 -b "$(readlink "$rescue/base")" "$rescue/disk.qcow2" 10G
    set -- "$@" -no-reboot -kernel "$rescue/kernel" -initrd "$rescue/initrd" -append "$(cat "$rescue/arguments")" \
        -drive "if=none,id=rescue,file=$rescue/disk.qcow2,format=qcow2,cache=unsafe" -device virtio-blk-pci,drive=rescue
fi
xorriso -as genisoimage -quiet -volid "$label" -joliet -rock -output "$run/seed.iso" "$seed" >"$run/seed.log" 2>&1 || {
    cat "$run/seed.log"
    exit 1
}
for volume in "$run"/volumes/*/; do
    [ -d "$volume" ] || continue
    set -- "$@" -blockdev "$(cat "$volume/node")" -device "$(cat "$volume/device")"
done
exec setpriv --pdeathsig KILL "$@" \
    -drive "if=none,id=root,file=$(readlink "$disk/top"),format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap"
