# shellcheck shell=bash
# Only for images.
# What makes one machine itself must not be in an image that many machines boot from: the list is recipe/hygiene.yaml.
shopt -s nullglob
systemctl stop containerd.service
pkill --exact auditd || true
cloud-init clean --logs
# journald would otherwise write on, under the old machine-id, until the machine is off.
journalctl --relinquish-var
sed --in-place '/^127\.0\.1\.1\s/d' /etc/hosts
for file in $HYGIENE_EMPTY; do
    [[ ! -f $file ]] || : >"$file"
done
# shellcheck disable=SC2086 # paths with shell patterns. The login key of this very step is among them.
rm --recursive --force $HYGIENE_REMOVE
# Blocks that no file uses cost nothing in a snapshot only when the disk knows so.
systemd-detect-virt --quiet --container || fstrim --all || true
sync
say "clean"
