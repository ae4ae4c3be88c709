# shellcheck shell=bash
# tunnel OWN-END PEER-END PEER-PODS PEER-ADDRESS: leads packets for the pods of another server to it, in a VXLAN between the two.
# It may run again, as after a boot, which takes all of it away.
tunnel() {
    ip link delete pods 2>/dev/null || true
    ip link add pods type vxlan id 1 dstport 8472 remote "$4"
    ip address add "$1" peer "$2" dev pods
    ip link set pods mtu 1450 up
    ip route add "$3" via "$2" dev pods
}
