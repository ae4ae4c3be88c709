# shellcheck shell=bash
# Takes apt for ourselves: its timers would hold dpkg's lock in mid-build, and would upgrade a node behind the cluster's back
# later; an upgrade of a node is a new image.
systemctl mask --now --quiet apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service
if systemctl list-unit-files unattended-upgrades.service >/dev/null 2>&1; then
    systemctl mask --now --quiet unattended-upgrades.service
fi
# A timer that is masked while it runs counts as failed.
systemctl reset-failed 'apt-daily*'
install_text 0644 /etc/apt/apt.conf.d/99node-image <<'EOF'
DPkg::Lock::Timeout "300";
Acquire::Retries "5";
APT::Install-Recommends "false";
APT::Periodic::Enable "0";
Dpkg::Options { "--force-confdef"; "--force-confold"; };
EOF
# Where it is installed (Ubuntu), it would ask, or restart containerd under running pods.
install_text 0644 /etc/needrestart/conf.d/90-node-image.conf <<'EOF'
$nrconf{restart} = 'l';
$nrconf{kernelhints} = 0;
EOF
say "apt is ours"
