# shellcheck shell=bash
# Only where CONTAINERD_FILES is set.
# Registries, drop-ins and limits of the stack file.
install_files "$CONTAINERD_FILES" /
containerd config dump >/dev/null
systemctl daemon-reload
systemctl restart containerd.service
say "containerd reads $(jq --raw-output 'keys | join(", ")' <<<"$CONTAINERD_FILES")"
