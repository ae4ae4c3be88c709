# shellcheck shell=bash
# Only where IMAGES is set.
# Images that pods need before the network is quick: `control-plane` stands for what kubeadm itself lists. They are pinned: a disk
# that fills up, or somebody's `crictl rmi --prune`, would take them away, and nobody would see it until the registry is missed.
pin() {
    local reference
    while IFS= read -r reference; do
        ctr --namespace k8s.io images label "$reference" io.cri-containerd.pinned=pinned >/dev/null
    done < <(crictl inspecti --output json "$1" | jq --raw-output '.status | .repoTags[]?, .repoDigests[]?')
}

REGISTRY_CREDENTIALS=${REGISTRY_CREDENTIALS:-}

# log_in: REGISTRY_CREDENTIALS, a JSON map of host to user:password, for containerd and for as long as this step runs: in memory, over
# the files of the image. As a header of one host each, so that no other registry gets them.
logins=/run/node-image-logins
log_in() {
    local host header file url
    install --directory --mode=0700 "$logins"
    mount --types tmpfs --options mode=0700,nosuid,nodev,noexec node-image "$logins"
    trap 'umount --lazy /etc/containerd/certs.d "$logins"' EXIT
    cp --archive /etc/containerd/certs.d/. "$logins/"
    while IFS=$'\t' read -r host header; do
        mkdir --parents "$logins/$host"
        touch "$logins/$host/hosts.toml"
        for file in "$logins"/*/hosts.toml; do
            while IFS= read -r url; do
                printf '[host."%s".header]\nAuthorization = "Basic %s"\n' "$url" "$header" >>"$file"
            done < <(sed --quiet --regexp-extended "s#^\[host\.\"(https?://${host//./\\.}(/[^\"]*)?)\"\]\$#\1#p" "$file")
        done
        printf '[header]\nAuthorization = "Basic %s"\n' "$header" >>"$logins/$host/hosts.toml"
    done < <(jq --raw-output 'to_entries[] | [.key, (.value | @base64)] | @tsv' <<<"$REGISTRY_CREDENTIALS")
    mount --bind "$logins" /etc/containerd/certs.d
}

[[ -z $REGISTRY_CREDENTIALS ]] || log_in
for image in $IMAGES; do
    if [[ $image == control-plane ]]; then
        mapfile -t wanted < <(kubeadm config images list --kubernetes-version "v$KUBERNETES_VERSION")
    else
        wanted=("$image")
    fi
    for name in "${wanted[@]}"; do
        say "pulling $name"
        said=$(timeout 600 crictl pull "$name" 2>&1) || {
            complain "$said"
            [[ $said != *403* ]] || forbidden "$name"
            die "$name: not pulled; is its registry in reach of the build server?"
        }
        pin "$name"
    done
done
