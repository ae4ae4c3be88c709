#!/bin/sh
# Runs one machine until it is off. Usage: machine.sh DIRECTORY CGROUPS DELAY NAMESPACE FORWARDS COMMAND...
# Waits for a line on its input first: by then the caller has noted our pid; a caller that was killed sends none.
# DIRECTORY/off is written when the machine has ended. A machine that ends while DIRECTORY/reboot is there is started again.
# CGROUPS are the cgroup directories to run in, separated by ":".
# DELAY: seconds until it comes up at all (a fault on order); "inf" for never.
# FORWARDS: ports of the host that lead to it through NAMESPACE, separated by "," (see forward.sh).
set -u
directory=$1
cgroups=$2
delay=$3
namespace=$4
forwards=$5
shift 5
read -r _ || exit 1

IFS=:
for cgroup in $cgroups; do
    echo $$ > "$cgroup/cgroup.procs" || exit 1
done
unset IFS

[ "$delay" = 0 ] || setpriv --pdeathsig KILL sleep "$delay"

IFS=,
for forward in $forwards; do
    setpriv --pdeathsig KILL sh "${0%/*}/forward.sh" "$namespace" "$forward" < /dev/null &
done
unset IFS

# systemd-nspawn ends with 133 when the machine asks for a reboot.
status=133
while [ "$status" -eq 133 ]; do
    "$@" < /dev/null
    status=$?
    if [ -e "$directory/reboot" ]; then
        rm -f "$directory/reboot"
        status=133
    fi
done
echo "$status" > "$directory/off"
exit "$status"
