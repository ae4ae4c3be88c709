# shellcheck shell=bash
# Only where CONTAINERD_FILES is set.
# Registry mirrors and drop-ins of the stack file.
install_files "$CONTAINERD_FILES" /etc/containerd
containerd config dump >/dev/null
systemctl restart containerd.service
say "containerd reads $(jq --raw-output 'keys | join(", ")' <<<"$CONTAINERD_FILES")"
