#!/bin/sh
# Runs one machine until it is off. Usage: machine.sh OFF_MARK CGROUPS DELAY COMMAND...
# Waits for a line on its input first: by then the caller has noted our pid; a caller that was killed sends none.
# OFF_MARK is written when the machine has ended; CGROUPS are the cgroup directories to run in, separated by ":".
# DELAY: seconds until it comes up at all (a fault on order); "inf" for never.
set -u
mark=$1
cgroups=$2
delay=$3
shift 3
read -r _ || exit 1

IFS=:
for cgroup in $cgroups; do
    echo $$ > "$cgroup/cgroup.procs" || exit 1
done
unset IFS

[ "$delay" = 0 ] || setpriv --pdeathsig KILL sleep "$delay"

# systemd-nspawn ends with 133 when the machine asks for a reboot.
status=133
while [ "$status" -eq 133 ]; do
    "$@" < /dev/null
    status=$?
done
echo "$status" > "$mark"
exit "$status"
