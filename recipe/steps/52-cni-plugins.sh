# shellcheck shell=bash
# The reference CNI plugins; network add-ons bring their own configuration and put further plugins beside these.
unpack "$CNI_PLUGINS_URL" "$CNI_PLUGINS_SHA256" /opt/cni/bin
mkdir --parents /etc/cni/net.d
[[ -x /opt/cni/bin/loopback ]] || die "$CNI_PLUGINS_URL holds no plugin loopback"
say "CNI plugins $CNI_PLUGINS_VERSION"
