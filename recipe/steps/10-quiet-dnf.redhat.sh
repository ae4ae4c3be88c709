# shellcheck shell=bash
# Takes dnf for ourselves: its timers would hold the lock in mid-build, and would upgrade a node behind the cluster's back
# later; an upgrade of a node is a new image.
for unit in $UPGRADES; do
    systemctl stop --quiet "$unit" 2>/dev/null || true # not every system has every one
    systemctl mask --quiet "$unit"
done
install_text 0644 /etc/dnf/dnf.conf <<EOF
[main]
gpgcheck=1
installonly_limit=2
clean_requirements_on_remove=True
install_weak_deps=False
retries=5
exclude=$HELD
EOF
say "dnf is ours"
