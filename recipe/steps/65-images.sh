# shellcheck shell=bash
# Only where IMAGES is set.
# Images that pods need before the network is quick: `control-plane` stands for what kubeadm itself lists.
for image in $IMAGES; do
    if [[ $image == control-plane ]]; then
        mapfile -t wanted < <(kubeadm config images list --kubernetes-version "v$KUBERNETES_VERSION")
    else
        wanted=("$image")
    fi
    for name in "${wanted[@]}"; do
        say "pulling $name"
        timeout 600 crictl pull "$name" >/dev/null || die "$name: not pulled; is its registry in reach of the build server?"
    done
done
