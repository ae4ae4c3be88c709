#!/bin/sh
# Hook of mmdebstrap, on the way to a base image. Usage: base_image.sh before|after ROOT SUITE ARCHITECTURE
# before: when the essential packages are installed, for what the maintainer scripts of the others read.
# after: what one finds on a fresh Hetzner server, and no identity.
set -eu
stage=$1
root=$2
suite=$3
architecture=$4

# Every disk of an image has them, as all servers of one system image do.
root_uuid=6f2b0e86-3a4d-4c55-9d0f-5b1c3e7a9d24
esp_uuid=5B1C-3E7A

before() {
    # Beside others an emulated server may need over 90 seconds, systemd's limit, to find its partitions: it boots all the same.
    cat > "$root/etc/fstab" <<FSTAB
UUID=$root_uuid / ext4 discard,errors=remount-ro 0 1
UUID=$esp_uuid /boot/efi vfat umask=0077,nofail,x-systemd.device-timeout=10min 0 1
FSTAB
    # On a server initramfs-tools asks the disk, which is not there yet, and puts this type's fsck into the initrd.
    mkdir -p "$root/etc/initramfs-tools/conf.d"
    echo "FSTYPE=ext4" > "$root/etc/initramfs-tools/conf.d/root"
    serial=ttyS0,115200
    [ "$architecture" != arm64 ] || serial=ttyAMA0
    mkdir -p "$root/boot/efi" "$root/etc/default/grub.d"
    cat > "$root/etc/default/grub.d/50-cloud.cfg" <<GRUB
GRUB_TIMEOUT=0
GRUB_CMDLINE_LINUX_DEFAULT=
GRUB_CMDLINE_LINUX="console=tty0 console=$serial"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --speed=115200"
GRUB
    # There is no disk yet for the boot loader.
    echo "grub-pc grub-pc/install_devices_empty boolean true" | chroot "$root" debconf-set-selections
}

# What grub-install leaves below /boot/grub: the modules, and the core image that a disk begins with.
# Usage: boot_loader TARGET CORE MODULES...
boot_loader() {
    target=$1
    core=$2
    shift 2
    mkdir -p "$root/boot/grub/$target"
    cp "$root/usr/lib/grub/$target"/*.mod "$root/usr/lib/grub/$target"/*.lst "$root/boot/grub/$target/"
    [ "$target" != i386-pc ] || cp "$root/usr/lib/grub/$target/boot.img" "$root/boot/grub/$target/"
    cat > "$root/boot/grub/$target/load.cfg" <<GRUB
search.fs_uuid $root_uuid root
set prefix=(\$root)'/boot/grub'
GRUB
    chroot "$root" grub-mkimage --format "$target" --output "/boot/grub/$target/$core" --prefix /boot/grub \
        --config "/boot/grub/$target/load.cfg" part_gpt ext2 search_fs_uuid "$@"
}

after() {
    case $architecture in
    amd64)
        boot_loader i386-pc core.img biosdisk
        boot_loader x86_64-efi core.efi
        ;;
    arm64) boot_loader arm64-efi core.efi ;;
    esac

    rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/hostname "$root"/var/lib/dbus/machine-id "$root"/var/lib/systemd/random-seed
    : > "$root/etc/machine-id"
    # systemd-resolved writes it with each boot; a container finds the host's there.
    ln -sfn ../run/systemd/resolve/resolv.conf "$root/etc/resolv.conf"
    echo "LANG=C.UTF-8" > "$root/etc/default/locale"
    echo "PermitRootLogin prohibit-password" > "$root/etc/ssh/sshd_config.d/10-root.conf"

    rm -f "$root/etc/apt/sources.list"
    cat > "$root/etc/apt/sources.list.d/debian.sources" <<APT
Types: deb
URIs: http://deb.debian.org/debian
Suites: $suite $suite-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: $suite-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
APT
}

"$stage"
