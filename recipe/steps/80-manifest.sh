# shellcheck shell=bash
# What this image is made of, for people and programs on the node, and for the stack's exports.
packages=$(list_packages)
install_text 0644 /etc/node-image.json < <(
    jq --arg count "$(wc --lines <<<"$packages")" --arg sha256 "$(sha256sum <<<"$packages" | cut --delimiter=' ' --fields=1)" \
        '. + {packages: {count: ($count | tonumber), sha256: $sha256}}' <<<"$MANIFEST"
)
jq --compact-output '.components | map_values(.version)' /etc/node-image.json
