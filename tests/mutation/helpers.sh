# shellcheck shell=bash
# What the breaks of breaks.yaml are written in; runs as root on a server that is thrown away.
# `item` is the number of the item that is being broken or mended.
set -Eeuo pipefail
home=/run/mutation
kept_item=() kept_path=()
item=0
mkdir --parents "$home"
mountpoint --quiet "$home" || mount --types tmpfs --options mode=0700,exec mutation "$home"
mkdir --parents "$home/bin" "$home/answers" "$home/kept"
trap 'echo "item $item: not broken or not mended, at: $BASH_COMMAND" >&2' ERR

# keep PATH...: remembers it as it is, so that `restore` brings it back, or takes it away where there is none.
keep() {
    local path above
    for path; do
        if [[ -e $path || -L $path ]]; then
            cp --archive "$path" "$home/kept/${#kept_path[@]}"
        else
            above=$(dirname "$path")
            while [[ ! -d $above ]]; do path=$above above=$(dirname "$above"); done
        fi
        kept_item+=("$item") kept_path+=("$path")
    done
}

# restore: whatever this item kept, the last first.
restore() {
    local number
    for ((number = ${#kept_path[@]} - 1; number >= 0; number--)); do
        [[ ${kept_item[number]} == "$item" ]] || continue
        rm --recursive --force "${kept_path[number]}"
        [[ ! -e $home/kept/$number && ! -L $home/kept/$number ]] || mv "$home/kept/$number" "${kept_path[number]}"
        kept_item[number]=done
    done
}

# put FILE TEXT: a new file, or other content.
put() {
    keep "$1"
    rm --recursive --force "$1"
    mkdir --parents "$(dirname "$1")"
    printf '%s\n' "$2" >"$1"
}

# append FILE TEXT: one more line; the file's time stays.
append() {
    [[ -e $1 ]] || put "$1" ''
    change "$1" cat - <(printf '%s\n' "$2")
}

# change FILE FILTER...: the file as the filter makes it; its time stays.
change() {
    local file=$1
    shift
    keep "$file"
    "$@" <"$file" >"$home/changed" || [[ $1 == grep && $? -eq 1 ]]
    touch --reference="$file" "$home/changed"
    cat "$home/changed" >"$file"
    touch --reference="$home/changed" "$file"
}

# without TEXT FILE...: the files without the lines that have the text.
without() {
    local text=$1 file
    shift
    for file; do change "$file" grep --invert-match --fixed-strings -- "$text"; done
}

# remove PATH...
remove() {
    keep "$@"
    rm --recursive --force "$@"
}

# old PATTERN: a file that matches it, with content, older than this boot.
old() {
    local file=${1//'*'/mutation}
    file=${file//'[0-9]'/1}
    [[ ! -d $file ]] || file=$file/mutation
    [[ -s $file && ! -L $file ]] && keep "$file" || put "$file" ''
    touch --no-dereference --date=2001-01-01 "$file"
}

# fake PROGRAM ARGUMENTS TEXT: with these arguments (a pattern) the program is the shell text instead.
fake() {
    local answer
    answer=$home/answers/$1/$(printf %05d "$item")
    put "$answer" "$(printf 'wanted=%q\nif [[ "$*" == $wanted ]]; then\n%s\nexit\nfi\n' "$2" "$3")"
    ln --symbolic --force "$home/program" "$home/bin/$1"
}

# drop_in UNIT SECTION LINE...: read after all others.
drop_in() {
    local unit=$1 section=$2
    shift 2
    put "/run/systemd/system/$unit.d/zz-$item.conf" "$(printf '%s\n' "[$section]" "$@")"
}

# not_installed PACKAGE: for dpkg it is removed.
not_installed() {
    change /var/lib/dpkg/status sed "/^Package: $1\$/,/^\$/ s/^Status: .*/Status: deinstall ok config-files/"
}

# other VALUE: another one that sshd takes.
other() {
    case $1 in yes) echo no ;; no) echo yes ;; VERBOSE) echo INFO ;; *) echo "${1}1" ;; esac
}

cat >"$home/program" <<'EOF'
#!/bin/bash
# Stands for a program: the first answer that knows the arguments speaks, else the program itself.
for answer in /run/mutation/answers/"${0##*/}"/*; do [[ ! -f $answer ]] || . "$answer"; done
PATH=${PATH//\/run\/mutation\/bin:/}
exec "${0##*/}" "$@"
EOF
chmod 0755 "$home/program"
