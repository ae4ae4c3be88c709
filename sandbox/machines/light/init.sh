#!/bin/sh
# First process of a light machine, once it is in its own root: what cloud-init would do, then sshd until the power button.
# /run/sandbox has: instance (its id), host-name, first-boot.tar (files), early and late (scripts), sshd.options.
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8

mount -t tmpfs -o mode=755,nosuid,size=16m dev /dev
mkdir -p /dev/pts /dev/shm /run/systemd/resolve /run/lock /run/sshd /run/genuine /run/light/units /run/cloud-init
for file in dev/null dev/zero dev/full dev/random dev/urandom dev/tty; do
    : > "/$file"
done
for program in systemctl journalctl cloud-init; do
    : > "/run/genuine/$program"
done
mount --all --fstab /run/sandbox/fstab || exit 1
umount -l /run/host-root
rmdir /run/host-root
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
cp /run/sandbox/resolv.conf /run/systemd/resolve/resolv.conf
echo container-other > /run/systemd/container # for systemd-detect-virt

power_off() {
    kill -TERM -1 2>/dev/null
    exit 0
}
trap power_off TERM
trap 'exit 133' USR1 # machine.sh takes it for a reboot. Not HUP: under nohup it is ignored for good
cloud=/var/lib/cloud

first_boot() {
    rm -f /etc/ssh/ssh_host_*
    tar --extract --touch --file /run/sandbox/first-boot.tar --directory /
    for kind in ed25519 ecdsa; do
        # As cloud-init: the keys that the user data brings are the only ones.
        ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 && [ "$kind" = ed25519 ] && break
        ssh-keygen -q -t "$kind" -N '' -C '' -f "/etc/ssh/ssh_host_${kind}_key"
    done
    name=$(cat /run/sandbox/host-name)
    echo "${name%%.*}" > /etc/hostname
    sed -i '/^127\.0\.1\.1\s/d' /etc/hosts
    echo "127.0.1.1 $name ${name%%.*}" >> /etc/hosts
    /run/sandbox/early
}

[ -s /etc/machine-id ] || tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
fresh=no
if [ "$(cat $cloud/data/instance-id 2>/dev/null)" != "$(cat /run/sandbox/instance)" ]; then
    fresh=yes
    first_boot
fi
# A fault on order: descriptor 9 is a file beside the disk, on the same small file system.
[ ! -e /proc/self/fd/9 ] || cat /dev/zero >&9 2>/dev/null
exec 9>&-

# $(cat) splits the options into words, as is meant.
start_sshd() {
    # shellcheck disable=SC2046
    /usr/sbin/sshd -D -e $(cat /run/sandbox/sshd.options) &
    sshd=$!
}
start_sshd

(
    status='done'
    if [ $fresh = yes ]; then
        /run/sandbox/late > /var/log/cloud-init-output.log 2>&1 || status=error
        mkdir -p $cloud/data $cloud/instance
        cp /run/sandbox/instance $cloud/data/instance-id
        date > $cloud/instance/boot-finished
    fi
    echo "{\"v1\": {\"errors\": []}}" > /run/cloud-init/result.json
    echo $status > /run/light/cloud-init
) 2>/dev/null &

# As systemd would, start it again should it be killed. `wait` also takes care of all who lost their parent.
while :; do
    wait $sshd
    kill -0 $sshd 2>/dev/null || { sleep 0.1; start_sshd; }
done
