# shellcheck shell=bash
# What is on the server: the image's manifest, a line of dashes, and every package.
cat /etc/node-image.json
printf '\n---\n'
list_packages
