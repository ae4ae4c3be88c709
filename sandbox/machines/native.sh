#!/bin/sh
# Hook of mmdebstrap, for a root of another architecture. Usage: native.sh begin|end ROOT
# begin: when the essential packages are installed. From then on the programs that maintainer scripts call most, and the one that
# unpacks packages, are this host's own, not translated: some thousand starts of such programs make up most of an installation.
# They and their libraries are mounted, so that nothing of them stays. `end` removes the mount points and the copies.
set -eu
stage=$1
root=$2
packages="bash coreutils dash debianutils findutils grep gzip perl-base sed tar"
programs="dpkg-deb getopt update-alternatives"
later="openssl systemd-hwdb" # not there yet: what lies in /usr/local/bin is found first
libraries=/usr/lib/$(uname -m)-linux-gnu
case $(uname -m) in
x86_64) loader=/lib64/ld-linux-x86-64.so.2 ;;
aarch64) loader=/lib/ld-linux-aarch64.so.1 ;;
esac

# These would tell of the host.
tells_of_the_host() {
    case $1 in arch | nproc | uname) true ;; *) false ;; esac
}

begin() {
    mkdir -p "$root/${loader%/*}" "$root$libraries"
    cp "$(readlink -f "$loader")" "$root$loader"
    mount --bind "$libraries" "$root$libraries"
    # shellcheck disable=SC2086 # they are several
    for file in $programs $(dpkg --listfiles $packages | grep '^\(/usr\)\?/bin/.'); do
        file=/usr/bin/${file##*/}
        if [ -f "$file" ] && [ ! -L "$file" ] && [ -f "$root$file" ] && [ ! -L "$root$file" ]; then
            tells_of_the_host "${file##*/}" || mount --bind "$file" "$root$file"
        fi
    done
    for name in $later; do
        [ ! -x "/usr/bin/$name" ] || cp "/usr/bin/$name" "$root/usr/local/bin/"
    done
}

end() {
    awk -v root="$root/usr/" 'index($5, root) == 1 { print $5 }' /proc/self/mountinfo | xargs -r umount
    rm -f "$root$loader"
    for name in $later; do
        rm -f "$root/usr/local/bin/$name"
    done
    rmdir "$root$libraries"
    rmdir --ignore-fail-on-non-empty "$root/${loader%/*}"
}

"$stage"
