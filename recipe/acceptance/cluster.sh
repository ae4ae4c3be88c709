# shellcheck shell=bash
# The level `cluster`: kubeadm makes a cluster of this one server, which is thrown away afterwards, and pods run in it. They use
# the pause image alone, with this server's own programs mounted, so that no other image must be had.
export KUBECONFIG=/etc/kubernetes/admin.conf
all_logs=/var/log/node-image-cluster.log

# since: seconds of this part so far. left: those that remain of timeouts.cluster.
since() { awk -v nanoseconds=$(($(date +%s%N) - began)) 'BEGIN {printf "%.1f", nanoseconds / 1e9}'; }
left() {
    local seconds=$((CLUSTER_SECONDS - ($(date +%s%N) - began) / 1000000000))
    echo $((seconds > 1 ? seconds : 1))
}

# container_logs NAME LINES: the last lines of the newest container of that name; where this server has none, what happened to the
# pod of that name.
container_logs() {
    local container
    container=$(crictl ps --all --quiet --latest --name "^$1\$") || return 0
    if [[ $container ]]; then
        crictl logs --tail "$2" "$container" 2>&1
    else
        kubectl get events --all-namespaces --field-selector "involvedObject.name=$1" --request-timeout=20s \
            --output jsonpath='{range .items[*]}{.reason}: {.message}{"\n"}{end}' 2>/dev/null | tail --lines="$2"
    fi
}

keep_all_logs() {
    {
        printf '== kubeadm\n' && cat "$report/kubeadm.log"
        printf '== objects\n' && kubectl get nodes,pods,services,events --all-namespaces --output wide --request-timeout=20s
        printf '== description\n' && kubectl describe nodes,pods --all-namespaces --request-timeout=20s
        crictl ps --all
        for name in $(crictl ps --all --output json | jq --raw-output '[.containers[].metadata.name] | unique[]'); do
            printf '== container %s\n' "$name" && container_logs "$name" 2000
        done
        printf '== kubelet and containerd\n' && journalctl --boot --unit=kubelet.service --unit=containerd.service --output=short-precise --no-pager
    } >>"$all_logs" 2>&1
}

# give_up WHAT CONTAINER...: ends with the last words of those that should have done it.
give_up() {
    local name what=$1
    shift
    keep_all_logs || true
    {
        grep '^\s*\[ERROR' "$report/kubeadm.log" || tail --lines=8 "$report/kubeadm.log"
        for name; do
            say "last words of $name:"
            container_logs "$name" 6 | cut --characters=1-300 || true
        done
        say 'last errors of kubelet:'
        # With a pattern journalctl shows the newest first.
        journalctl --boot --unit=kubelet.service --output=cat --no-pager --grep '^E' --lines=6 | cut --characters=1-300 | tac || true
    } >&2
    die "$what. All logs are in $all_logs on this server; onFailure: keep leaves it to you. More time: timeouts.cluster"
}

# until_it_works COMMAND...: again and again; `must` ends it.
until_it_works() { until "$@"; do sleep 1; done; }
export -f until_it_works

# must WHAT CONTAINERS COMMAND...: runs it again and again for as long as time is left, because an API server that has much to do
# on a slow machine may be started anew by kubelet in between, and then refuses connections for a while. Its last words are shown
# where it fails.
must() {
    local what=$1 containers=$2
    shift 2
    # shellcheck disable=SC2086 # a list of names
    timeout "$(left)" bash -c 'until_it_works "$@"' must "$@" >"$report/must.log" 2>&1 || {
        tail --lines=15 "$report/must.log" >&2
        give_up "$what within $CLUSTER_SECONDS s" $containers
    }
}

make_cluster() {
    began=$(date +%s%N)
    timeout "$CLUSTER_SECONDS" kubeadm init --config "$report/kubeadm.yaml" >"$report/kubeadm.log" 2>&1 ||
        give_up 'kubeadm init failed' kube-apiserver etcd kube-controller-manager
    pod_network 10.244.0.0/24
    take_every_pod
    must 'the node is not Ready' 'kube-apiserver kube-controller-manager' kubectl wait --for=condition=Ready nodes --all --timeout="$(left)s"
    echo "ready $(since)" >>"$report/seconds"
    # It comes some time after the node is Ready, and no pod is taken before.
    must 'the service account of the namespace default is not there' kube-controller-manager \
        kubectl --namespace default get serviceaccount default
    must 'kube-proxy does not run' kube-proxy kubectl --namespace kube-system rollout status daemonset/kube-proxy
    must 'CoreDNS does not run' 'coredns kube-proxy' kubectl --namespace kube-system rollout status deployment/coredns
    { test_pod server && test_pod client && test_service node-image server; } >"$report/pods.yaml"
    must 'the test pods were refused' kube-apiserver kubectl apply --filename "$report/pods.yaml"
    must 'the test pods are not Ready' 'server client' kubectl wait --for=condition=Ready pod/server pod/client --timeout="$(left)s"
    ask_service client node-image server
    must 'kubectl logs does not show what the pod printed' kube-apiserver bash -c 'kubectl logs server | grep --quiet serving'
    echo "cluster $(since)" >>"$report/seconds"
}

# pod_network SUBNET: the least network that makes a node Ready; what is tested is the node, not a network add-on.
pod_network() {
    install_text 0644 /etc/cni/net.d/10-node-image-test.conflist <<EOF
{"cniVersion": "1.0.0", "name": "node-image-test", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$1"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
}

# take_every_pod: no cloud controller manager comes to this cluster, and pods run on its control plane, too. One taint a call:
# kubectl takes none off a node that lacks one of them.
take_every_pod() {
    local taint
    for taint in node-role.kubernetes.io/control-plane node.cloudprovider.kubernetes.io/uninitialized; do
        kubectl taint nodes --all "$taint-" >/dev/null 2>&1 || true
    done
}

# ask_service POD SERVICE ANSWER: from one pod by the Service's name to another pod, through its ClusterIP.
ask_service() {
    must "the pod $1 does not reach the pod $3 by the name of its Service" "coredns kube-proxy $1 $3" \
        bash -c "kubectl exec $1 -- socat -u -T5 TCP:$2:80,connect-timeout=5 STDOUT | grep --quiet $3"
}

# wait_for_cluster: after a restart of the server. The pods' containers are new then, so whoever can be asked is up again.
wait_for_cluster() {
    began=$(date +%s%N)
    : >"$report/kubeadm.log"
    ask_service client node-image server
    must 'the node is not Ready after the restart' 'kube-apiserver etcd' kubectl wait --for=condition=Ready nodes --all --timeout="$(left)s"
    echo "restart $(cut --delimiter=' ' --fields=1 /proc/uptime)" >>"$report/seconds"
}

# test_pod NAME [NODE]: a pod that answers with its name, on a node with any taint.
test_pod() {
    cat <<EOF
---
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: $1}}
spec:
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  tolerations: [{operator: Exists}]
  nodeSelector: {${2:+"kubernetes.io/hostname: $2"}}
  containers:
    - name: $1
      image: $PAUSE_IMAGE
      command: [/bin/sh, -c, "echo serving; exec socat TCP-LISTEN:8080,fork,reuseaddr EXEC:hostname"]
      readinessProbe: {tcpSocket: {port: 8080}}
      volumeMounts:
$(for path in bin lib lib64 usr; do [[ ! -e /$path ]] || echo "        - {name: $path, mountPath: /$path, readOnly: true}"; done)
  volumes:
$(for path in bin lib lib64 usr; do [[ ! -e /$path ]] || echo "    - {name: $path, hostPath: {path: /$path}}"; done)
EOF
}

# test_service NAME POD
test_service() {
    cat <<EOF
---
apiVersion: v1
kind: Service
metadata: {name: $1}
spec: {selector: {app: $2}, ports: [{port: 80, targetPort: 8080}]}
EOF
}
