#!/bin/sh
# Makes a bootable disk of a root tree. Usage: vm_disk.sh TREE TARGET SIZE_GB
# TARGET is a qcow2 file of that size. What is half made lies in TARGET.part, which the next run removes.
# Nothing is mounted and no loop device is used.
#
# The layout is that of Hetzner's images, and of Debian's for clouds: a GPT that boots by BIOS and by UEFI.
#   14  1 MiB    GRUB's core for BIOS
#   15  256 MiB  EFI system partition
#    1  the root file system, as large as its content needs; last on the disk, so that growpart can grow it
# The UUIDs of both file systems are those in the tree's /etc/fstab.
set -eu
PATH=$PATH:/usr/sbin:/sbin # not on every user's
tree=$1
target=$2
size_gb=$3
part=$target.part
raw=$part/disk

sector=512
core_start=2048 # sectors, as all of these
core_size=2048
esp_start=4096
esp_size=524288
root_start=528384
# Those that GRUB 2.06 reads, so that it does not matter how new this host's mke2fs is.
features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file
features=$features,dir_nlink,extra_isize,metadata_csum

fail() {
    echo "$tree: $1" >&2
    exit 1
}

# Usage: uuid_of MOUNT_POINT
uuid_of() {
    awk -v point="$1" '$2 == point && sub(/^UUID=/, "", $1) { print $1; exit }' "$tree/etc/fstab" 2>/dev/null || true
}

# The highest version among the tree's kernels that have an initrd.
newest_kernel() {
    for kernel in "$tree"/boot/vmlinuz-*; do
        name=${kernel##*/vmlinuz-}
        [ ! -e "$tree/boot/initrd.img-$name" ] || echo "$name"
    done | sort --version-sort | tail -n 1
}

# What the tree's own settings of GRUB put on the kernel's command line.
kernel_options() (
    set +eu
    for file in "$tree/etc/default/grub" "$tree"/etc/default/grub.d/*.cfg; do
        # shellcheck disable=SC1090 # the file is the image's
        [ ! -f "$file" ] || . "$file"
    done
    echo "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"
)

# Stands for update-grub, which cannot run in a container: the first kernel that is installed on a server replaces it.
menu() {
    cat <<GRUB
set timeout=0
if [ "\$grub_platform" = pc ]; then
    serial --speed=115200
    terminal_input console serial
    terminal_output console serial
fi
menuentry "Linux $version" {
    search --no-floppy --fs-uuid --set=root $root_uuid
    linux /boot/vmlinuz-$version root=UUID=$root_uuid ro $(kernel_options)
    initrd /boot/initrd.img-$version
}
GRUB
}

# Usage: place FILE START; writes a file at that sector.
place() {
    dd if="$1" of="$raw" bs=$sector seek="$2" conv=notrunc status=none
}

# Usage: patch OFFSET BYTES; bytes as printf takes them.
patch() {
    # shellcheck disable=SC2059 # that is what the format is for
    printf "$2" | dd of="$raw" bs=1 seek="$1" conv=notrunc status=none
}

make_root() {
    used=$(du --summarize --block-size=1M "$tree" | cut -f 1)
    # Room for the journal, the tables, and what the first boot writes before the file system is grown.
    root_mb=$((used * 11 / 10 + 256))
    truncate --size "${size_gb}G" "$raw"
    [ $((root_start / 2048 + root_mb + 1)) -le $((size_gb * 1024)) ] ||
        fail "it holds $used MB, too much for a disk of $size_gb GB; choose a larger one"
    mke2fs -q -F -t ext4 -b 4096 -i 16384 -I 256 -O "$features" -U "$root_uuid" -d "$tree" \
        -E "offset=$((root_start * sector)),lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0" "$raw" "${root_mb}M"
    menu > "$part/grub.cfg"
    {
        [ ! -e "$tree/boot/grub/grub.cfg" ] || echo "rm /boot/grub/grub.cfg"
        echo "write grub.cfg /boot/grub/grub.cfg"
        echo "set_inode_field /boot/grub/grub.cfg mode 0100600"
    } > "$part/commands"
    # From there, as a command of debugfs ends a name at a blank. It ends with 0 whatever became of its commands.
    (cd "$part" && debugfs -w -f commands "disk?offset=$((root_start * sector))" > debugfs.log 2>&1)
    grep -q 'Allocated inode' "$part/debugfs.log" ||
        fail "its boot menu could not be written: $(tail -n 1 "$part/debugfs.log")"
}

make_esp() {
    esp=$part/esp
    mkfs.vfat -C -F 32 -s 1 -n EFI -i "$(echo "$esp_uuid" | tr -d -)" "$esp" $((esp_size / 2)) > /dev/null
    mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
    while read -r core removable installed; do
        [ -e "$tree/boot/grub/$core" ] || continue
        mcopy -i "$esp" "$tree/boot/grub/$core" "::/EFI/BOOT/$removable"
        mcopy -i "$esp" "$tree/boot/grub/$core" "::/EFI/debian/$installed"
    done <<CORES
x86_64-efi/core.efi BOOTX64.EFI grubx64.efi
arm64-efi/core.efi BOOTAA64.EFI grubaa64.efi
CORES
    dd if="$esp" of="$raw" bs=1M seek=$((esp_start / 2048)) conv=notrunc,sparse status=none
}

partition() {
    sfdisk --quiet --wipe never --wipe-partitions never "$raw" > "$part/sfdisk.log" <<TABLE
label: gpt
p14 : start=$core_start, size=$core_size, type=21686148-6449-6E6F-744E-656564454649
p15 : start=$esp_start, size=$esp_size, type=U
p1 : start=$root_start, size=$((root_mb * 2048)), type=L
TABLE
}

# What grub-bios-setup does, which wants a mounted file system: each part of GRUB is told in which sector the next begins.
boot_by_bios() {
    [ -e "$tree/boot/grub/i386-pc/core.img" ] || return 0
    dd if="$tree/boot/grub/i386-pc/boot.img" of="$raw" bs=1 count=440 conv=notrunc status=none
    place "$tree/boot/grub/i386-pc/core.img" $core_start
    patch $((0x5c)) '\000\010\000\000\000\000\000\000'                      # 2048: core.img
    patch $((0x66)) '\220\220'                                              # trust the BIOS's word for the drive
    patch $((core_start * sector + 0x1f4)) '\001\010\000\000\000\000\000\000' # 2049: the rest of core.img
}

root_uuid=$(uuid_of /)
esp_uuid=$(uuid_of /boot/efi)
[ "$root_uuid" ] || fail "its /etc/fstab names no root file system by UUID; write a line 'UUID=... / ext4 defaults 0 1'"
[ "$esp_uuid" ] || fail "its /etc/fstab names no EFI system partition by UUID; write a line 'UUID=1234-ABCD /boot/efi vfat defaults 0 1'"
version=$(newest_kernel)
[ "$version" ] || fail "there is no kernel with an initrd in its /boot; install one"
[ -e "$tree/boot/grub/x86_64-efi/core.efi" ] || [ -e "$tree/boot/grub/arm64-efi/core.efi" ] ||
    fail "there is no boot loader in its /boot/grub; base_image.sh shows how one is made with grub-mkimage"

rm -rf "$part"
mkdir "$part"
make_root
partition
make_esp
boot_by_bios
qemu-img convert -O qcow2 "$raw" "$part/disk.qcow2"
mv "$part/disk.qcow2" "$target"
rm -rf "$part"
