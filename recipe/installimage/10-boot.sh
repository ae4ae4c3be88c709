# shellcheck shell=bash
# What a bare-metal server boots with, and a snapshot of a cloud server does without: a kernel with drivers for real hardware, boot
# loaders for BIOS and UEFI (installimage runs them, and brings none), software RAID, and the programs behind the network
# configuration that installimage writes.
# What the step `quick-boot` leaves out for cloud servers: real hardware may want its names, and installimage may put the root on LVM.
rm --force /etc/initramfs-tools/hooks/node-image /etc/systemd/system/lvm2-monitor.service.d/20-where-volumes-are.conf
# No maintainer script may start a service, or ask which disk the boot loader is for.
install_text 0755 /usr/sbin/policy-rc.d < <(printf '#!/bin/sh\nexit 101\n')
debconf-set-selections <<'END'
grub-pc grub-pc/install_devices_empty boolean true
linux-base linux-base/removing-running-kernel boolean false
END
apt-get update --quiet=2
wanted=()
# Debian keeps firmware in a component of its own, which not every list of package sources has.
for name in $FIRMWARE; do
    if [[ $(apt-cache madison "$name") ]]; then wanted+=("$name"); else say "not in the package sources: $name"; fi
done
# Not one file at a time to the disk: the server is thrown away.
install=(apt-get install --quiet=2 --yes --allow-downgrades --option Dpkg::Options::=--force-unsafe-io)
# shellcheck disable=SC2086 # a list of package names
"${install[@]}" $BOOT_PACKAGES "${wanted[@]}" >/dev/null
# Last, so that its initrd is made once, with what all of them have for it.
"${install[@]}" "$KERNEL" >/dev/null
# Debian's kernel for clouds lacks the network cards of real servers.
mapfile -t cloud < <(dpkg-query --show --showformat '${Package}\n' 'linux-image*-cloud-*' 2>/dev/null)
[[ ${#cloud[@]} -eq 0 ]] || apt-get purge --quiet=2 --yes "${cloud[@]}" >/dev/null
rm /usr/sbin/policy-rc.d
say "installed: $BOOT_PACKAGES ${wanted[*]} $KERNEL"
