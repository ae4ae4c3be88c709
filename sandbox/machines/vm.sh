#!/bin/sh
# Starts QEMU. Usage: vm.sh RUN LABEL COMMAND...
# Of the files in RUN/seed it makes the disc RUN/seed.iso, by whose label cloud-init finds it.
set -eu
run=$1
label=$2
shift 2
xorriso -as genisoimage -quiet -volid "$label" -joliet -rock -output "$run/seed.iso" "$run/seed" 2>/dev/null
exec setpriv --pdeathsig KILL "$@"
