# shellcheck shell=bash
# Only where AS_OF is set.
# Packages as the distribution's archive had them at that time, newer ones of the system image included: the same stack file
# gives the same packages. The step `package-sources` brings the ordinary sources back.
codename=$(sed --quiet 's/^VERSION_CODENAME=//p' /etc/os-release)
keyring=$(find /usr/share/keyrings -name "$DISTRIBUTION-archive-keyring.*" -print -quit)
components=main
[[ $DISTRIBUTION != ubuntu ]] || components="main universe"
mkdir --parents /etc/apt/sources.node-image
find /etc/apt/sources.list /etc/apt/sources.list.d -type f -exec mv --target-directory=/etc/apt/sources.node-image {} +
install_text 0644 /etc/apt/sources.list.d/node-image.sources <<EOF
Types: deb
URIs: $ARCHIVE_MAIN
Suites: $codename $codename-updates
Components: $components
Signed-By: $keyring
Check-Valid-Until: no

Types: deb
URIs: $ARCHIVE_SECURITY
Suites: $codename-security
Components: $components
Signed-By: $keyring
Check-Valid-Until: no
EOF
# Above 1000: apt takes these versions even where it must go back. By codename, which every archive has: `release *` would pin
# what is installed as well, and it would stay.
install_text 0644 /etc/apt/preferences.d/node-image-as-of <<'EOF'
Explanation: all packages as of one time, see /etc/node-image.json
Package: *
Pin: release n=*
Pin-Priority: 1001
EOF
say "packages as of $AS_OF"
