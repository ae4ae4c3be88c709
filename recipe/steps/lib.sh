# shellcheck shell=bash
# Stands before every step when it is rendered: strictness, a time limit, and the few functions that steps share.
set -Eeuo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

say() { printf '%s\n' "$*"; }

complain() { printf 'error: %s\n' "$*" >&2; }

# A subshell that ends with this status has said why, and its parent adds nothing.
STEP_TOLD=99
stop() { exit $((BASH_SUBSHELL ? STEP_TOLD : 1)); }

die() {
    complain "$@"
    stop
}

# name_failure STATUS PIPE-STATUS...: names the command that ends the step, as it is written: no value of a variable comes out.
# Whether a failure inside a subshell ends the step is its parent's to see; the step itself is at STEP_LEVEL.
STEP_LEVEL=0
name_failure() {
    local status=$1 command=${BASH_COMMAND%%$'\n'*} ended="ended with exit status $1"
    shift
    [[ $- == *e* && $BASH_SUBSHELL -eq $STEP_LEVEL ]] || return 0
    [[ " $* " != *" $STEP_TOLD "* ]] || stop
    # [[ ]] and the like leave the statuses of the pipeline before them.
    [[ $# -eq 1 || " $* " != *" $status "* ]] || ended="is part of a pipeline that ended with exit statuses $*"
    [[ ${#command} -le 160 ]] || command=${command:0:157}...
    complain "step $0 failed: \`$command\` $ended"
    [[ $STEP_LEVEL -eq 0 ]] || stop
}

# full_disks: where there is no room left, which is why much fails without saying so.
full_disks() {
    local free place
    df --block-size=1M --output=avail,target / /tmp /var/tmp /var/lib 2>/dev/null | sort --unique | while read -r free place; do
        [[ ! $free =~ ^[0-9]+$ || $free -gt 4 ]] || say "$place"
    done
}

# within SECONDS COMMAND...: runs a step, and says why it failed where its own words may not. One that hangs is ended with
# all that it started.
within() {
    local status=0 full step
    STEP_IS_TIMED=yes timeout --kill-after=10 "$@" <&0 &
    step=$!
    # timeout makes a process group of its own, which no Ctrl-C of a terminal reaches.
    trap 'kill "$step"; wait "$step" || true' INT TERM HUP
    wait "$step" || status=$?
    # What bash was just starting loses the signal that timeout gives to all of the group.
    [[ $status -lt 124 ]] || kill -KILL -- "-$step" 2>/dev/null || true
    [[ $status -lt 124 || $SECONDS -lt $1 ]] ||
        die "step $0 took longer than $1 s and was ended. What it said so far is above. If it only needs more time, raise" \
            "timeouts.step in the stack file (STEP_SECONDS for the script). If it hangs, onFailure: keep leaves you the server."
    if [[ $status -ne 0 ]]; then
        full=$(full_disks)
        [[ -z $full ]] || die "step $0 failed, and there is no room left in ${full//$'\n'/, }. Build on a server type with a" \
            "larger disk (serverTypes in the stack file), or put less on the node."
    fi
    exit "$status"
}

# `bash -c` keeps the text of a step, so it can run itself again under its time limit.
if [[ -z ${STEP_IS_TIMED:-} && ${BASH_EXECUTION_STRING:-} ]]; then
    within "${STEP_SECONDS:-1800}" bash -c "$BASH_EXECUTION_STRING" "$0" "$@"
fi
export -n STEP_IS_TIMED
trap 'name_failure "$?" "${PIPESTATUS[@]}"' ERR

# install_text MODE FILE: writes standard input beside FILE, and moves it there. A link on the way stays one: `install -D` of uutils,
# which Ubuntu 26.04 has, may put a directory in its place.
install_text() {
    local new
    mkdir --parents "$(dirname "$2")"
    new=$(mktemp "$2.XXXXXX")
    cat >"$new"
    chmod "$1" "$new"
    mv --force --no-target-directory "$new" "$2"
}

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
    download "$url" "$file.part"
    actual=$(sha256sum "$file.part" | cut --delimiter=' ' --fields=1)
    if [[ $actual != "$expected" ]]; then
        rm --force "$file.part"
        die "$url: sha256 is $actual, but the lock says $expected. Nothing of it was installed." \
            "If upstream really changed the file, correct recipe/lock.yaml; otherwise empty the mirror and try again."
    fi
    mv "$file.part" "$file"
}

# download URL FILE: from the start, and again while the reason may pass: a line that breaks, a server that restarts or is busy.
# A host that says how long it is busy is asked again then, however often, while the step has time.
download() {
    local delays status answer asked
    read -ra delays <<<"${RETRY_DELAYS:-1 2 4 8 16 32}"
    while true; do
        status=0
        answer=$(curl --fail-with-body --silent --show-error --location --connect-timeout 20 --speed-limit 1000 --speed-time 60 \
            --write-out '%{http_code}' --dump-header "$2.headers" --output "$2" "$1") || status=$?
        asked=$(asked_to_wait <"$2.headers") || true
        rm --force "$2.headers"
        case $status:$answer in
            0:*) return ;;
            22:429 | 22:503) [[ -z $asked ]] || { wait_as_asked "$1" "$answer" "$asked" && continue; } ;;
            22:408 | 22:5*) ;;
            22:403) forbidden "$1" "$(mirror_says "$status" "$2")" ;;
            22:*) die "$1: answered $answer, so this version is not to be had there.$(mirror_says "$status" "$2")" \
                "Check that its project has published it for $(uname --machine)." ;;
            23:*) die "$1: $2 cannot be written" ;;
        esac
        [[ ${#delays[@]} -gt 0 ]] || break
        sleep "${delays[0]}"
        delays=("${delays[@]:1}")
    done
    die "$1: not downloaded, after several attempts (curl's exit status $status, HTTP status $answer; its own words are" \
        "above).$(mirror_says "$status" "$2") Check that this server reaches the host and that the host has no trouble, then build again."
}

# asked_to_wait: the seconds of the last Retry-After among the headers on standard input, at least one; nothing without one.
asked_to_wait() {
    local asked
    asked=$(tr --delete '\r' | sed --quiet 's/^retry-after: *//Ip' | tail --lines=1)
    [[ -n $asked ]] || return 0
    [[ $asked =~ ^[0-9]+$ ]] || asked=$(($(date --date="$asked" +%s) - $(date +%s)))
    say $((asked > 1 ? asked : 1))
}

# wait_as_asked URL STATUS SECONDS: where the step has so much time left.
wait_as_asked() {
    [[ $((SECONDS + $3)) -lt ${STEP_SECONDS:-1800} ]] ||
        die "$1: answered $2, too many requests, and asks to wait $3 s, which is longer than this step has" \
            "(timeouts.step: ${STEP_SECONDS:-1800} s). Build later, or less at a time (maxParallel), raise timeouts.step, or take" \
            "files and packages from a mirror of your own (artifacts.mirror; archives in recipe/catalog.yaml)."
    say "$1: answered $2, too many requests; waits $3 s, as it asks"
    sleep "$3"
}

# forbidden URL [MORE]: 403 is of whoever asks as often as of what is asked for.
forbidden() {
    die "$1: answered 403 to this server, whose address is $(own_address).${2:-} The host may refuse that address: some of" \
        "Hetzner's are taken for those of another country, or are on a list of refused ones. Then build again: another server" \
        "has another address, and another location (locations in the stack file) others still. Or the host wants a login, or" \
        "does not give out that file: try it from elsewhere. A mirror of your own (artifacts.mirror) answers everybody."
}

# own_address: the IPv4 address by which this server reaches others.
own_address() { ip -4 -oneline route get 198.51.100.1 2>/dev/null | grep --only-matching --perl-regexp 'src \K\S+' || say unknown; }

# from_archives COMMAND...: a package manager. It is run again when an archive that had too many requests says so and has
# waited; what an archive refuses to this server's address is told.
from_archives() {
    local said status url answer asked
    said=$(mktemp)
    while true; do
        status=0
        "$@" >/dev/null 2>"$said" || status=$?
        [[ $status -ne 0 ]] || break
        cat "$said" >&2
        read -r url answer < <(refusal_in "$said") || true
        [[ ${answer:-} != 403 ]] || forbidden "$url"
        [[ ${answer:-} == 429 || ${answer:-} == 503 ]] || die "\`$*\` ended with exit status $status"
        asked=$(curl --silent --head --max-time 20 "$url" | asked_to_wait) || true
        wait_as_asked "$url" "$answer" "${asked:-60}"
    done
    rm --force "$said"
}

# refusal_in FILE: URL and HTTP status of the first file that apt or dnf could not have.
refusal_in() {
    sed --quiet --regexp-extended \
        -e 's/^.*Failed to fetch (https?:\S+)\s+(403|429|503)\s.*/\1 \2/p' \
        -e 's/^.*Status code: (403|429|503) for (https?:\S+).*/\2 \1/p' "$1" | head --lines=1
}

# mirror_says STATUS FILE: the beginning of a mirror's answer that is an error, as it names its reason; other hosts send a page.
mirror_says() {
    [[ -z ${MIRROR:-} || $1 -ne 22 ]] || head --bytes=500 "$2" | tr '\n' ' ' | sed 's/^/ The mirror says: /'
}

# refuse_foreign FILE URL: ends the step where FILE is a program for another machine than this server.
refuse_foreign() {
    local header machine
    [[ -f $1 && ! -L $1 ]] || return 0
    header=$(od --address-radix=n --format=x1 --width=20 --read-bytes=20 "$1")
    case $header in
        ' 7f 45 4c 46 '*' 3e 00') machine=x86_64 ;;
        ' 7f 45 4c 46 '*' b7 00') machine=aarch64 ;;
        ' 7f 45 4c 46 '*) machine="ELF machine ${header: -5}" ;;
        *) return 0 ;;
    esac
    [[ $machine != "$(uname --machine)" ]] || return 0
    rm --force "$1"
    die "$2: ${1##*/} is a program for $machine, but this server is $(uname --machine). It was not installed." \
        "Correct the file's url in recipe/catalog.yaml, or what the mirror has under it."
}

# install_program URL SHA256 NAME: one binary into /usr/local/bin.
install_program() {
    fetch "$1" "$2" "/var/tmp/$3"
    refuse_foreign "/var/tmp/$3" "$1"
    install -m 0755 "/var/tmp/$3" "/usr/local/bin/$3"
    rm "/var/tmp/$3"
}

# unpack URL SHA256 DIRECTORY: one tar archive into DIRECTORY.
unpack() {
    local archive=/var/tmp/${1##*/} files file
    fetch "$1" "$2" "$archive"
    mkdir --parents "$3"
    files=$(tar --extract --verbose --gzip --no-same-owner --file "$archive" --directory "$3")
    while IFS= read -r file; do
        refuse_foreign "$3/$file" "$1"
    done <<<"$files"
    rm "$archive"
}
