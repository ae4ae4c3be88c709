# shellcheck shell=bash
# Takes apt for ourselves: its timers would hold dpkg's lock in mid-build, and would upgrade a node behind the cluster's back
# later; an upgrade of a node is a new image.
for unit in $UPGRADES; do
    systemctl stop --quiet "$unit" 2>/dev/null || true # not every system has every one
    systemctl mask --quiet "$unit"
done
# A timer that is masked while it runs counts as failed.
systemctl reset-failed 'apt-daily*'
install_text 0644 /etc/apt/apt.conf.d/99node-image <<EOF
$APT_SETTINGS
Dpkg::Options { "--force-confdef"; "--force-confold"; };
EOF
# Where it is installed (Ubuntu), it would ask, or restart containerd under running pods.
install_text 0644 /etc/needrestart/conf.d/90-node-image.conf <<'EOF'
$nrconf{restart} = 'l';
$nrconf{kernelhints} = 0;
EOF
# Read after the file in which kubelet asks logind for the time that a graceful shutdown takes, and would cut it to 30 s.
mkdir --parents /etc/systemd/logind.conf.d
ln --symbolic --force /dev/null /etc/systemd/logind.conf.d/unattended-upgrades-logind-maxdelay.conf
say "apt is ours"
