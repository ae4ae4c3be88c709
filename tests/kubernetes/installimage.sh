#!/bin/bash
# What installimage runs in a system that it has unpacked, with its own options (its debian.sh and network_config.functions.sh).
# It does so in a chroot of the rescue system. Here this is the first process of the system's own kernel, so that disk and network
# card are those that it will boot with; both boot loaders are installed, where installimage takes the one of the firmware.
# Switches the server off at its end, after the line "installimage: done" where all went well.
set -Eeuo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
disk=/dev/nvme0n1

end() {
    echo "installimage: $1"
    rm --force /installimage.sh
    sync
    umount /boot/efi /boot || true
    mount --options remount,ro / || true
    echo o >/proc/sysrq-trigger
    sleep infinity
}
trap 'end "failed: $BASH_COMMAND"' ERR

mount /boot
mount /boot/efi

# The name that the card will have.
modprobe e1000e
until card=$(find /sys/class/net -name 'e*' -printf '%f\n') && [[ $card ]]; do sleep 0.2; done
predicted=$(udevadm test-builtin net_id "/sys/class/net/$card" 2>/dev/null)
for kind in ONBOARD SLOT PATH MAC; do
    name=$(sed --quiet "s/^ID_NET_NAME_$kind=//p" <<<"$predicted")
    [[ -z $name ]] || break
done
[[ $name ]]
cat >/etc/network/interfaces <<END
### Hetzner Online GmbH installimage

source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback
iface lo inet6 loopback

auto $name
iface $name inet static
  address 10.0.2.15
  netmask 255.255.255.0
  gateway 10.0.2.2
END

for kernel in /boot/vmlinuz-*; do update-initramfs -u -k "${kernel#/boot/vmlinuz-}"; done
sed --in-place 's/^GRUB_CMDLINE_LINUX_DEFAULT=.*/GRUB_CMDLINE_LINUX_DEFAULT="consoleblank=0"/' /etc/default/grub
rm --force /boot/grub/grub.cfg
echo 'set grub2/update_nvram false' | debconf-communicate -f noninteractive
echo 'set grub2/force_efi_extra_removable true' | debconf-communicate -f noninteractive
grub-mkconfig -o /boot/grub/grub.cfg 2>&1
grub-install --target=x86_64-efi --efi-directory=/boot/efi --no-floppy --no-nvram --removable 2>&1
grub-install --no-floppy --recheck "$disk" 2>&1
rm --force /boot/grub/device.map
end "done"
