#!/bin/bash
# kubelet.sh FLAG...: the item `kubelet starts`: kubelet with the image's own unit, which must give it these flags of ours, and with
# what kubeadm writes for it, until it is healthy. There is no cluster: as at the start of `kubeadm init`, nobody answers at the API
# server's address. All that kubeadm and kubelet write is in memory, mounted for this kubelet alone where it expects it.
set -Eeuo pipefail
exec >"$0.said" 2>&1
report=/run/node-image
home=$report/kubelet
unit=node-image-kubelet
log=$report/kubelet.log
health=http://127.0.0.1:10248/healthz
made_by_kubelet=(/var/lib/kubelet /var/log/pods /var/log/containers /usr/libexec/kubernetes /var/lib/cni)

# Where a container has no kernel of its own kubelet ends at that, after it has judged flags, feature gates and configuration.
# These are its words then, and it may end with nothing else.
host_kernel='failed to create kubelet: open /dev/kmsg: no such file or directory'
host_kernel+='|"Failed to start ContainerManager" err=".*(cgroup|read-only file system|permission denied)'
host_kernel+='|failed to get mounted cgroup subsystems|kubelet is configured to not run on a host using cgroup v1'

write_configuration() {
    local phase
    export KUBEADM_INIT_DRYRUN_DIR=$home/kubeadm
    mkdir --parents "$home"/{kubeadm,etc,lib}
    for phase in 'certs ca' 'kubeconfig kubelet' kubelet-start; do
        # shellcheck disable=SC2086 # a phase of two words
        kubeadm init phase $phase --dry-run --config "$report/kubeadm.yaml" >"$home/phase.log" 2>&1 || {
            echo "kubeadm init phase $phase failed: $(tail --lines=3 "$home/phase.log")"
            exit 1
        }
    done
    cp --archive /etc/kubernetes/. "$home/etc/"
    rm --recursive --force "$home"/etc/{pki,kubelet.conf}
    mkdir "$home/etc/pki"
    cp "$home/kubeadm/kubelet.conf" "$home/etc/"
    cp "$home/kubeadm/ca.crt" "$home/etc/pki/"
    cp "$home"/kubeadm/{config.yaml,kubeadm-flags.env} "$home/lib/"
    # Since 1.35 a part of the configuration is in a file of its own.
    [[ ! -e $home/kubeadm/instance-config.yaml ]] || cp "$home/kubeadm/instance-config.yaml" "$home/lib/"
}

# The image's unit with all its drop-ins, and what this run needs else: the last words of a unit file count.
write_unit() {
    {
        systemctl cat kubelet.service
        # shellcheck disable=SC2016 # systemd fills them in
        printf '%s\n' '' '[Unit]' ConditionPathExists= '[Service]' Restart=no \
            "BindPaths=$home/etc:/etc/kubernetes $home/lib:/var/lib/kubelet" \
            'ExecStartPre=/bin/sh -c '\''printf "%%s\\n" "$$@" >'"$home"'/flags'\'' sh $KUBELET_NODE_IMAGE_ARGS' \
            "StandardOutput=append:$log" StandardError=inherit \
            '# It may end as it likes: this script tells, and no unit is left as failed.' \
            'SuccessExitStatus=1 2 255 SIGKILL'
    } >"/run/systemd/system/$unit.service"
    systemctl daemon-reload
}

# Errors that say why it ended; those about the API server, which nobody has started, are left out.
last_words() {
    grep --extended-regexp '^(E[0-9]{4} |panic|fatal)|^[A-Z].*(rror|ailed)' "$log" |
        grep --invert-match --extended-regexp ':6443|lister|not registered yet' | tail --lines=3 | cut --characters=1-500 || true
}

# What systemd made words of, for a program that it starts ahead of kubelet.
flags() { paste --serial --delimiters=' ' "$home/flags"; }

# The socket for devices comes last of what kubelet's container manager starts: before that a healthy kubelet may still end.
is_healthy() { [[ $(curl --silent --max-time 5 $health) == ok && -S $home/lib/device-plugins/kubelet.sock ]]; }

clean_up() {
    local path
    systemctl stop $unit.service kubepods.slice 2>/dev/null || true
    rm --recursive --force "/run/systemd/system/$unit.service" "$home"
    for path in "${new[@]}"; do rm --recursive --force "$path"; done
    systemctl daemon-reload
}

new=()
for path in "${made_by_kubelet[@]}"; do [[ -e $path ]] || new+=("$path"); done
trap clean_up EXIT
trap 'echo "kubelet was not tried: $BASH_COMMAND failed"' ERR
write_configuration
write_unit
: >"$log"
began=$(date +%s%N)
systemctl start --no-block $unit.service
until [[ -s $home/flags ]] || (($(date +%s%N) - began > KUBELET_SECONDS * 1000000000)); do sleep 0.1; done
cmp --silent "$home/flags" <(printf '%s\n' "$@") || {
    printf 'systemd gives kubelet these flags, a line each:\n%s\nand the image is to have these:\n%s\n' "$(cat "$home/flags")" "$(printf '%s\n' "$@")"
    exit 1
}
until is_healthy; do
    if [[ $(systemctl show $unit.service --property=ActiveState --value) == @(inactive|failed) ]]; then
        if systemd-detect-virt --quiet --container && grep --quiet --extended-regexp "$host_kernel" "$log"; then
            echo "kubelet was judged up to what a container lacks: $(last_words | tail --lines=1 | sed 's/^.*\] //')" | tee --append "$report/why"
            exit 0
        fi
        printf 'kubelet ended before it was healthy. The flags of this image are %s. Its last errors:\n%s\n' "$(flags)" "$(last_words)"
        exit 1
    fi
    if (($(date +%s%N) - began > KUBELET_SECONDS * 1000000000)); then
        printf 'kubelet is not healthy after %s s (timeouts.kubelet). The flags of this image are %s. Its last errors:\n%s\n' \
            "$KUBELET_SECONDS" "$(flags)" "$(last_words)"
        exit 1
    fi
    sleep 0.2
done
awk -v nanoseconds=$(($(date +%s%N) - began)) 'BEGIN {printf "kubelet %.1f\n", nanoseconds / 1e9}' | tee --append "$report/seconds"
