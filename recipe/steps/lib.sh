# shellcheck shell=bash
# Stands before every step when it is rendered: strictness, and the few functions that steps share.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { printf '%s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# install_text MODE FILE: writes standard input to FILE.
install_text() { install -D -m "$1" /dev/stdin "$2"; }

# install_files JSON DIRECTORY: a JSON map of relative path to content, below DIRECTORY.
install_files() {
    local name
    while IFS= read -r name; do
        jq --join-output --arg name "$name" '.[$name]' <<<"$1" | install_text 0644 "${2%/}/${name#/}"
    done < <(jq --raw-output 'keys[]' <<<"$1")
}

# list_packages: every package of the system, a line each: name, version, architecture.
list_packages() {
    if command -v dpkg-query >/dev/null; then
        # shellcheck disable=SC2016 # dpkg-query's own variables
        dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' | sort
    else
        rpm --query --all --queryformat '%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH}\n' | sort
    fi
}

# fetch URL SHA256 FILE: downloads to FILE unless it is there already; FILE never holds anything but what the lock promises.
# Where MIRROR is set, the file comes from there: https://HOST/PATH from $MIRROR/HOST/PATH.
fetch() {
    local url=$1 expected=$2 file=$3 actual
    [[ -z ${MIRROR:-} ]] || url=$MIRROR/${url#https://}
    if [[ -f $file ]] && sha256sum --check --status <<<"$expected  $file"; then
        return
    fi
    curl --fail --silent --show-error --location --connect-timeout 20 --speed-limit 1000 --speed-time 60 \
        --retry 5 --retry-all-errors --retry-max-time 300 --output "$file.part" "$url" ||
        die "$url: download failed (curl's exit status $?)"
    actual=$(sha256sum "$file.part" | cut --delimiter=' ' --fields=1)
    if [[ $actual != "$expected" ]]; then
        rm --force "$file.part"
        die "$url: sha256 is $actual, but the lock says $expected. Nothing of it was installed." \
            "If upstream really changed the file, correct recipe/lock.yaml; otherwise empty the mirror and try again."
    fi
    mv "$file.part" "$file"
}

# install_program URL SHA256 NAME: one binary into /usr/local/bin.
install_program() {
    fetch "$1" "$2" "/var/tmp/$3"
    install -m 0755 "/var/tmp/$3" "/usr/local/bin/$3"
    rm "/var/tmp/$3"
}

# unpack URL SHA256 DIRECTORY: one tar archive into DIRECTORY.
unpack() {
    local archive=/var/tmp/${1##*/}
    fetch "$1" "$2" "$archive"
    mkdir --parents "$3"
    tar --extract --gzip --no-same-owner --file "$archive" --directory "$3"
    rm "$archive"
}
