# shellcheck shell=bash
# etcd and certificates need the right time. Hetzner's own time servers are the nearest; the distribution's stay as a fallback.
unit=chrony.service
directory=/etc/chrony/sources.d
if [[ ! -d /etc/chrony ]]; then
    unit=chronyd.service
    directory=/etc/chrony.d
    grep --quiet '^sourcedir /etc/chrony.d' /etc/chrony.conf || say "sourcedir /etc/chrony.d" >>/etc/chrony.conf
fi
# shellcheck disable=SC2086 # a list of host names
printf 'server %s iburst\n' $TIME_SERVERS | install_text 0644 "$directory/hetzner.sources"
systemctl enable --quiet "$unit"
say "time from Hetzner's servers, by chrony"
