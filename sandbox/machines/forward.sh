#!/bin/sh
# Leads a port of the host to a machine, until it is killed. Usage: forward.sh NAMESPACE LISTEN=TARGET
# Someone who listens on the host is connected to TARGET, which is reached in the network namespace NAMESPACE. Should the program
# be killed, which breaks its connections, another takes its place.
set -u
namespace=$1
listen=${2%%=*}
target=${2#*=}
while :; do
    setpriv --pdeathsig KILL systemd-socket-activate --listen="$listen" \
        nsenter --net="$namespace" /lib/systemd/systemd-socket-proxyd "$target" 2>/dev/null
    sleep 0.1
done
