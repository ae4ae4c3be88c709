#!/bin/bash
# The item `containerd runs a container`: a pod and a container in it, both of the pause image. Where that image cannot be had,
# or no container can have limits, the item passes, and the file `why` says what was not tried: it is no fault of the image.
set -Eeuo pipefail
exec >"$0.said" 2>&1
report=/run/node-image
home=$report/container

not_tried() {
    echo "no container was run: $*" | tee --append "$report/why"
    exit 0
}

failed() {
    printf 'containerd did not run a container of %s: %s\n' "$PAUSE_IMAGE" "$(tail --lines=3 "$home/words")"
    exit 1
}

! systemd-detect-virt --quiet --container || grep --quiet --word-regexp memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null ||
    not_tried 'this server is a container without cgroup controllers'
mkdir --parents "$home"
crictl inspecti --quiet "$PAUSE_IMAGE" >/dev/null 2>&1 || timeout "$KUBELET_SECONDS" crictl pull "$PAUSE_IMAGE" >"$home/words" 2>&1 ||
    not_tried "this server cannot pull $PAUSE_IMAGE: $(tail --lines=1 "$home/words" | sed 's/.* msg=//' | cut --characters=1-400)"

# In the server's own network, as no network add-on is there yet, and in a slice, as kubelet gives one to each pod.
cat >"$home/pod.json" <<EOF
{"metadata": {"name": "node-image", "namespace": "default", "uid": "node-image", "attempt": 0}, "log_directory": "$home",
 "linux": {"cgroup_parent": "nodeimage.slice", "security_context": {"namespace_options": {"network": 2}}}}
EOF
cat >"$home/container.json" <<EOF
{"metadata": {"name": "node-image"}, "image": {"image": "$PAUSE_IMAGE"}, "log_path": "container.log",
 "linux": {"resources": {"memory_limit_in_bytes": 67108864}}}
EOF
pod=$(crictl --timeout "${KUBELET_SECONDS}s" runp "$home/pod.json" 2>"$home/words") || failed
trap 'crictl rmp --force "$pod" >/dev/null 2>&1; systemctl stop nodeimage.slice 2>/dev/null; true' EXIT
container=$(crictl create "$pod" "$home/container.json" "$home/pod.json" 2>"$home/words") || failed
crictl start "$container" >"$home/words" 2>&1 || failed
state=$(crictl inspect "$container" 2>"$home/words" | jq --raw-output .status.state) || failed
[[ $state == CONTAINER_RUNNING ]] || { echo "its state is $state" >"$home/words"; failed; }
