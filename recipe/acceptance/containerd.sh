#!/bin/bash
# containerd.sh DROP-INS [KEY PATTERN]...: the items `containerd takes FILE`. Of each KEY of the file this containerd must know what
# it is, by a PATTERN of where it may stand now, and have the value that all DROP-INS (a list in TOML) give it. What that value is,
# and what became of keys of an older configuration, containerd itself tells.
set -Eeuo pipefail
alone=$(mktemp)
trap 'rm --force "$alone"' EXIT

# settings: of what containerd prints, a line for each value, with its whole key.
settings() {
    awk '{ sub(/^ +/, "") }
        /^\[/ { section = substr($0, 2, length($0) - 2) "."; next }
        / = / { print section $0 }'
}

# is_in_effect LINE: lists are joined from all files, so what a file names must be among what there is.
is_in_effect() {
    local key=${1%% = *} value=${1#* = } there element
    grep --quiet --line-regexp --fixed-strings -- "$1" <<<"$effective" && return
    [[ $value == \[* ]] || return 1
    there=$(value_of "$key")
    while IFS= read -r element; do
        [[ $there == *"$element"* ]] || return 1
    done < <(sed 's/^\[//; s/\]$//; s/, /\n/g' <<<"$value")
}

value_of() { awk -v key="$1 = " 'index($0, key) == 1 { print substr($0, length(key) + 1) }' <<<"$effective"; }

# of_a_known_plugin LINE: containerd keeps what is said of plugins that it does not have.
of_a_known_plugin() {
    [[ $1 != plugins.* ]] || grep --quiet --fixed-strings "[$(sed --regexp-extended "s/^(plugins\.('[^']*'|[^.]*)).*/\1/" <<<"$1")" <<<"$known"
}

known=$(containerd config default 2>/dev/null)
printf '%s\nimports = [%s]\n' "$(grep '^version = ' <<<"$known")" "$1" >"$alone"
shift
declared=$(containerd --config "$alone" config dump 2>/dev/null | settings)
effective=$(containerd config dump 2>/dev/null | settings)
wrong=0
while [[ $# -gt 0 ]]; do
    found=no
    while IFS= read -r line; do
        of_a_known_plugin "$line" || continue
        found=yes
        is_in_effect "$line" || {
            echo "$1 has no effect: the drop-in says ${line#* = }, and containerd has $(value_of "${line%% = *}")"
            wrong=1
        }
    done < <(grep --extended-regexp "^($2) = " <<<"$declared" || true)
    [[ $found == yes ]] || {
        echo "$1 has no effect: this containerd knows no such key in a drop-in of that version"
        wrong=1
    }
    shift 2
done
exit $wrong
