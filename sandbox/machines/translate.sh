#!/bin/sh
# Runs COMMAND where programs of another architecture can be run, by qemu-user. Usage: translate.sh ARCHITECTURE COMMAND...
# In a mount namespace of its own. Where the host has no binfmt_misc mounted, the interpreter is registered until this
# namespace ends.
set -eu
architecture=$1
shift
case $architecture in
arm64) format=qemu-aarch64 ;;
amd64) format=qemu-x86_64 ;;
esac
register=/proc/sys/fs/binfmt_misc
[ -e "$register/register" ] || mount -t binfmt_misc binfmt_misc "$register"
[ -e "$register/$format" ] || update-binfmts --enable "$format" || {
    echo "programs of $architecture cannot be run: apt-get install arch-test binfmt-support qemu-user-static" >&2
    exit 1
}
exec "$@"
