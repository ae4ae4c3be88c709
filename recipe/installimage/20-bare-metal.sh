# shellcheck shell=bash
# What cloud images set for their own hardware, taken back, and what installimage and CAPH expect to find.
# The distribution's own settings of GRUB: cloud images add net.ifnames=0, but installimage configures the network for
# predictable interface names, and a serial console.
cp /usr/share/grub/default/grub /etc/default/grub
rm --force /etc/default/grub.d/*
for file in /etc/systemd/network/99-default.link /etc/udev/rules.d/80-net-setup-link.rules; do
    [[ ! -L $file ]] || rm "$file"
done
rm --force /boot/grub/grub.cfg /boot/grub/device.map
mkdir --parents /boot/grub /boot/efi
# installimage writes the network configuration: no second one may compete with it.
rm --force /etc/netplan/*.yaml /etc/network/interfaces.d/* /etc/systemd/network/*.network
# It writes name servers to a file, and nowhere where it finds a link; the host name only where there is a file.
rm --force /etc/resolv.conf
: >/etc/resolv.conf
: >/etc/hostname
# CAPH leaves user data and meta data as a NoCloud seed, and logs in as root.
install_text 0644 /etc/cloud/cloud.cfg.d/99-node-image.cfg <<'END'
datasource_list: [NoCloud, None]
network: {config: disabled}
disable_root: false
END
# installimage sets rp_filter to 1 in 99-hetzner.conf, which defeats Cilium (see 90-kubernetes.conf); this comes after it.
install_text 0644 /etc/sysctl.d/99-node-image.conf <<'END'
net.ipv4.conf.all.rp_filter = 0
END
say "ready for installimage"
