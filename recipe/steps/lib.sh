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
download() {
    local delay status answer
    for delay in ${RETRY_DELAYS:-1 2 4 8 16 32} none; do
        status=0
        answer=$(curl --fail-with-body --silent --show-error --location --connect-timeout 20 --speed-limit 1000 --speed-time 60 \
            --write-out '%{http_code}' --output "$2" "$1") || status=$?
        case $status:$answer in
            0:*) return ;;
            22:408 | 22:429 | 22:5*) ;;
            22:*) die "$1: answered $answer, so this version is not to be had there.$(mirror_says "$status" "$2")" \
                "Check that its project has published it for $(uname --machine)." ;;
            23:*) die "$1: $2 cannot be written" ;;
        esac
        [[ $delay == none ]] || sleep "$delay"
    done
    die "$1: not downloaded, after several attempts (curl's exit status $status, HTTP status $answer; its own words are" \
        "above).$(mirror_says "$status" "$2") Check that this server reaches the host and that the host has no trouble, then build again."
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
