#!/bin/sh
# Leads a port of the host to a machine, until it is killed. Usage: forward.sh NAMESPACE LISTEN=TARGET
# Whoever connects to LISTEN on the host is led to TARGET, which is reached in the network namespace NAMESPACE. Should the program
# be killed, which breaks its connections, another takes its place. It says on the machine's console when LISTEN is taken.
set -u
namespace=$1
listen=${2%%=*}
target=${2#*=}
while :; do
    setpriv --pdeathsig KILL systemd-socket-activate --listen="$listen" \
        nsenter --net="$namespace" /lib/systemd/systemd-socket-proxyd "$target"
    status=$?
    # 137: killed. All else does not pass by itself so soon.
    [ "$status" -eq 137 ] || sleep 1
done
