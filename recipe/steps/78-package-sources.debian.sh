# shellcheck shell=bash
# Only where AS_OF is set.
# The ordinary package sources again, for those who install something on a node.
rm --force /etc/apt/sources.list.d/node-image.sources /etc/apt/preferences.d/node-image-as-of
for file in /etc/apt/sources.node-image/*; do
    target=/etc/apt/sources.list.d
    [[ ${file##*/} != sources.list ]] || target=/etc/apt
    mv "$file" "$target/"
done
rmdir /etc/apt/sources.node-image
say "ordinary sources"
