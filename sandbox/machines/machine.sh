#!/bin/sh
# Runs one machine until it is off. Usage: machine.sh OFF_MARK CGROUPS COMMAND...
# Waits for a line on its input first: by then the caller has noted our pid; a caller that was killed sends none.
# OFF_MARK is written when the machine has ended; CGROUPS are the cgroup directories to run in, separated by ":".
set -u
mark=$1
cgroups=$2
shift 2
read -r _ || exit 1

IFS=:
for cgroup in $cgroups; do
    echo $$ > "$cgroup/cgroup.procs" || exit 1
done
unset IFS

# systemd-nspawn ends with 133 when the machine asks for a reboot.
status=133
while [ "$status" -eq 133 ]; do
    "$@" < /dev/null
    status=$?
done
echo "$status" > "$mark"
exit "$status"
