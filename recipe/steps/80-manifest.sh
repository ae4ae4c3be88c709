# shellcheck shell=bash
# What this image is made of, for people and programs on the node.
install_text 0644 /etc/node-image.json <<<"$MANIFEST"
jq --compact-output .components /etc/node-image.json
