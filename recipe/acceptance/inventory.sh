# shellcheck shell=bash
# What is on the server, for recipe/sbom.py: the image's manifest, a line of dashes, and then lines of fields with tabs between
# them: the operating system, every package, and every Go program that no package brought, with the modules in it.
GO_BUILD_INFO=$'\xff Go buildinf:\x08\x02'
GO_BUILD_INFO_END='\xf92C1\x86\x18'

tell_system() (
    # shellcheck source=/dev/null
    . /etc/os-release
    printf 'os\t%s\t%s\n' "$ID" "${VERSION_ID:-}"
)

# Packages that were removed and left their configuration are not on the server.
tell_packages() {
    if command -v dpkg-query >/dev/null; then
        # shellcheck disable=SC2016 # dpkg-query's own variables
        dpkg-query --show --showformat \
            'deb\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Status}\n' |
            sed --quiet 's/\tinstalled$//p' | sort
    else
        rpm --query --all --queryformat \
            'rpm\t%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{MODULARITYLABEL}\n' | sort
    fi
}

# Packages of before the merge of /bin into /usr/bin list their files under the old names.
files_of_packages() {
    if command -v dpkg-query >/dev/null; then
        cat /var/lib/dpkg/info/*.list
    else
        rpm --query --all --list
    fi | sed --regexp-extended 's#^/(bin|sbin|lib)/#/usr/\1/#' | sort --unique
}

# programs_without_package FOLDER...
programs_without_package() {
    comm -23 <(find "$@" -xdev -type f -perm /111 | sort) <(files_of_packages)
}

# tell_program FILE: a Go program's path, Go version and modules, which its linker wrote behind a mark, as `go version -m` says them.
tell_program() {
    local start length
    start=$(LC_ALL=C grep --max-count=1 --only-matching --byte-offset --text --fixed-strings "$GO_BUILD_INFO" "$1") || return 0
    start=$((${start%%:*} + 32))
    length=$(od --address-radix=n --format=u1 --skip-bytes="$start" --read-bytes=1 "$1")
    printf 'program\t%s\t%s\n' "$1" "$(bytes_of "$1" $((start + 1)) $((length)))"
    bytes_of "$1" $((start + 1 + length)) 262144 |
        LC_ALL=C sed --quiet --regexp-extended "1,/^$GO_BUILD_INFO_END/ s/^((mod|dep|=>)\t[^\t]+\t[^\t]+).*/\1/p"
}

# bytes_of FILE START COUNT
bytes_of() { dd if="$1" iflag=skip_bytes,count_bytes skip="$2" count="$3" bs=64K status=none; }

cat "${MANIFEST_FILE:-/etc/node-image.json}"
printf '\n---\n'
tell_system
tell_packages
for folder in ${PROGRAM_FOLDERS:-/usr /opt}; do
    [[ ! -d $folder ]] || programs_without_package "$folder"
done | while IFS= read -r file; do tell_program "$file"; done
