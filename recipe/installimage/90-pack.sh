# shellcheck shell=bash
# Packs the server's root file system, once it has what installimage calls in it.
shopt -s nullglob
kernels=(/boot/vmlinuz-*)
[[ ${#kernels[@]} -gt 0 ]] || die "no kernel in /boot"
for kernel in "${kernels[@]}"; do
    [[ -s /boot/initrd.img-${kernel#/boot/vmlinuz-} ]] || die "$kernel has no initrd"
done
for program in grub-mkconfig grub-install update-initramfs mdadm udevadm debconf-communicate chroot; do
    command -v "$program" >/dev/null || die "$program is missing: installimage runs it"
done
for file in /etc/default/grub /etc/default/mdadm; do
    [[ -s $file ]] || die "$file is missing: installimage edits it"
done
for platform in $GRUB_PLATFORMS; do
    [[ -d /usr/lib/grub/$platform ]] || die "GRUB for $platform is missing"
done
hosts=(/etc/ssh/ssh_host_*)
[[ ! -s /etc/machine-id && ${#hosts[@]} -eq 0 ]] || die "the server's identity is still there"

archive=/var/tmp/node-image.tar.gz
compress=$(command -v pigz || command -v gzip)
cd /
excludes=()
for directory in proc sys dev run tmp var/tmp mnt media; do excludes+=(--exclude="$directory/*"); done
# Where the images of containers lie on a file system of their own, they are packed as well.
others=()
! mountpoint --quiet /var/lib/containerd || others=(var/lib/containerd)
# Names without ./ before them, as installimage's own exclusions expect. 1: a file changed while it was read, on a live system.
find . -mindepth 1 -maxdepth 1 ! -name lost+found -printf '%P\0' | sort --zero-terminated |
    tar --create --file "$archive" --use-compress-program="$compress" --one-file-system --numeric-owner --sort=name \
        --xattrs --xattrs-include=security.capability --xattrs-include=security.selinux \
        --anchored "${excludes[@]}" --null --files-from=- "${others[@]}" || [[ $? -eq 1 ]] || die "tar failed"
say "sha256 $(sha256sum "$archive" | cut --delimiter=' ' --fields=1)"
cat "$archive" >&3
