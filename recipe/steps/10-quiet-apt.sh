# shellcheck shell=bash
# Waits for cloud-init's first boot and takes apt for ourselves: its timers would hold dpkg's lock in mid-build,
# and would upgrade a node behind the cluster's back later.
cloud-init status --wait >/dev/null || [[ $? -eq 2 ]] || die "cloud-init failed: $(cloud-init status --long)"
systemctl mask --now apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service
if systemctl list-unit-files unattended-upgrades.service >/dev/null 2>&1; then
    systemctl mask --now unattended-upgrades.service
fi
install_text 0644 /etc/apt/apt.conf.d/99node-image <<'EOF'
DPkg::Lock::Timeout "300";
Acquire::Retries "5";
APT::Install-Recommends "false";
APT::Periodic::Enable "0";
Dpkg::Options { "--force-confdef"; "--force-confold"; };
EOF
say "apt is ours"
