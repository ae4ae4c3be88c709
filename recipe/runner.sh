# shellcheck shell=bash
# Runs one phase of a bundle (recipe/bundle.py) on a server: its files PHASE/* in their order, each after lib.sh.
#   bash -c "$(cat runner.sh)" BUNDLE PHASE [OCCASION]
# Standard input are variables for the steps, as shell text. Standard error gets a line as each step begins and ends; all that
# a step says goes to a file in OUTPUT. Standard output gets what the steps named *.result have printed; of those named
# *.packed.result it is compressed, as one line of base64. A step that has finished on this server is not run again, unless its
# text or the occasion is another. Where a step fails, its errors and last lines come last, and then one line of JSON, which
# images/failure.py reads. The bundle is never unpacked: the tests look for keys in files, and would find their own words.
set -uo pipefail

bundle=$0
phase=$1
work=${bundle%/*}/node-image
finished=$work/finished/${2:-always}
output=$work/output
# Not as an argument, which ps shows to all: there may be a password among them. lib.sh runs the text of a step a second time, under its
# time limit; what that starts does not inherit them.
READ_VARIABLES=$'eval "$STEP_VARIABLES"\n[[ -z ${STEP_IS_TIMED:-} ]] || unset STEP_VARIABLES\n'
LAST_LINES=12
MOST_ERRORS=4
ERRORS='^[[:space:]]*(\[(error|fatal)|(error|failed|fatal|panic)[: ]|E:|E[0-9]{4} )|level=(error|fatal)'

# A subshell, as whoever reads this may be gone: the steps go on without.
progress() { (printf '%s\n' "$*" >&2) || true; }

# text_of MEMBER: a file of the bundle.
text_of() { tar --extract --gzip --to-stdout --file "$bundle" "$1"; }

# name_of FILE: 03-kernel -> kernel
name_of() {
    local name=${1##*/}
    name=${name#*-}
    name=${name%.result}
    printf '%s' "${name%.packed}"
}

# tenths SINCE: seconds since a time in microseconds
tenths() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - $1) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# first_errors FILE: what tools mark as errors, the first ones and the last ones of many.
first_errors() {
    grep --ignore-case --extended-regexp "$ERRORS" "$1" | awk -v most="$MOST_ERRORS" '
        !seen[$0]++ { lines[++count] = $0 }
        END { for (i = 1; i <= count; i++) if (i <= most / 2 || i > count - most / 2) print lines[i] }'
}

# last_lines FILE: errors that have more lines after them, then the last lines.
last_lines() {
    local errors count
    errors=$(first_errors <(head --lines=-"$LAST_LINES" "$1"))
    count=$(grep --count . <<<"$errors")
    {
        [[ -z $errors ]] || printf '%s\n' "$errors"
        tail --lines=$((LAST_LINES - count)) "$1"
    } | tail --bytes=3600
}

# run_step FILE
run_step() {
    local name text sum began status=0 said=/proc/$$/fd/8
    name=$(name_of "$1")
    text=$(text_of lib.sh)$'\n'$(text_of "$1")
    sum=$(sha256sum <<<"$text")
    if [[ -e $finished/$name && $(<"$finished/$name") == "$sum" ]]; then
        progress "$name: finished before"
        return
    fi
    progress "$name"
    began=${EPOCHREALTIME/[.,]/}
    # Open, as the step clean removes the file.
    exec 8>"$output/$name.log"
    if [[ $1 == *.result ]]; then
        STEP_VARIABLES=$variables bash -c "$READ_VARIABLES$text" "$name" </dev/null >"$output/$name.result" 2>&8 8>&- 9>&- || status=$?
    else
        STEP_VARIABLES=$variables bash -c "$READ_VARIABLES$text" "$name" </dev/null >&8 2>&8 8>&- 9>&- || status=$?
    fi
    if [[ $status -ne 0 ]]; then
        last_lines "$said" >&2
        progress "{\"failed\": \"${name//[\"\\]/_}\", \"status\": $status, \"seconds\": $(tenths "$began")}"
        exit "$status"
    fi
    progress "$name: $(tenths "$began") s"
    # Nothing may come back that the step clean has removed.
    [[ ! -d $finished ]] || printf '%s\n' "$sum" >"$finished/$name"
}

# print_result FILE
print_result() {
    local said
    said=$output/$(name_of "$1").result
    case $1 in
        *.packed.result) gzip --best --no-name <"$said" | base64 --wrap=0 && printf '\n' ;;
        *) cat "$said" ;;
    esac
}

main() {
    local step variables steps
    variables=$(cat)
    mkdir --parents "$work"
    chmod 0700 "$work"
    mkdir --parents "$finished" "$output"
    # A run whose connection was lost may be at work.
    exec 9>"$work/lock"
    flock 9
    mapfile -t steps < <(tar --list --gzip --file "$bundle" | grep "^$phase/")
    for step in "${steps[@]}"; do
        run_step "$step"
    done
    for step in "${steps[@]}"; do
        [[ $step != *.result ]] || print_result "$step"
    done
}

main
