# shellcheck shell=bash
# What makes one machine itself must not be in an image that many machines boot from.
# authorized_keys goes last: it is the key that this very step came in with.
systemctl stop containerd.service
apt-get clean
rm --recursive --force /var/lib/apt/lists/* /var/cache/apt/*.bin /var/tmp/* /tmp/* /root/.cache /root/.bash_history /root/.ssh/known_hosts
cloud-init clean --logs
rm --recursive --force /var/lib/cloud/* /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init
rm --force /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/dbus/machine-id /etc/ssh/ssh_host_*
# journald would otherwise write on, under the old machine-id, until the machine is off.
journalctl --relinquish-var
rm --recursive --force /var/log/journal/*
find /var/log -type f -exec truncate --size=0 {} +
find /var/log -type f '(' -name '*.gz' -o -name '*.[0-9]' ')' -delete
: >/etc/hostname
sed --in-place '/^127\.0\.1\.1\s/d' /etc/hosts
# Empty, not absent: systemd then makes a new one at the next boot and does not take it for a first installation.
: >/etc/machine-id
rm --force /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
systemd-detect-virt --quiet --container || fstrim --all || true
sync
say "clean"
