#!/bin/sh
# systemctl, journalctl, cloud-init and (links to systemctl) poweroff, reboot, halt, shutdown on a light machine, which has
# no systemd and no cloud-init running. What can be done by the genuine programs, to files, is: they lie in /run/genuine.
set -u
program=${0##*/}
units=/run/light/units

fail() {
    status=$1
    shift
    echo "$*" >&2
    exit "$status"
}

# --- power

power() {
    case $1 in
        reboot) kill -USR1 1 ;;
        *) kill -TERM 1 ;;
    esac
    exit 0
}

# --- systemctl: unit files are real, whether a unit runs is a file in $units

unit_name() {
    case $1 in
        *.*) echo "$1" ;;
        *) echo "$1.service" ;;
    esac
}

unit_exists() {
    for directory in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system; do
        [ ! -e "$directory/$1" ] && [ ! -e "$directory/${1%%@*}@.${1##*.}" ] || return 0
    done
    return 1
}

is_masked() {
    [ "$(readlink "/etc/systemd/system/$1")" = /dev/null ]
}

start_unit() {
    unit_exists "$1" || fail 5 "Failed to start $1: Unit $1 not found."
    ! is_masked "$1" || fail 1 "Failed to start $1: Unit $1 is masked."
    : > "$units/$1"
}

stop_unit() {
    unit_exists "$1" || [ -e "$units/$1" ] || fail 5 "Failed to stop $1: Unit $1 not loaded."
    rm -f "$units/$1"
}

for_units() {
    action=$1
    shift
    for word; do
        case $word in
            -*) ;;
            *) "$action" "$(unit_name "$word")" ;;
        esac
    done
}

forget_unit() {
    rm -f "$units/$1"
}

tell_unit() {
    if [ -e "$units/$1" ]; then
        [ "$quiet" = yes ] || echo active
    else
        [ "$quiet" = yes ] || echo inactive
        inactive=yes
    fi
}

# Unit files: the genuine systemctl, offline.
offline() {
    exec env SYSTEMD_OFFLINE=1 /run/genuine/systemctl --root=/ "$@"
}

without_now() {
    for word; do
        shift
        [ "$word" = --now ] || set -- "$@" "$word"
    done
    env SYSTEMD_OFFLINE=1 /run/genuine/systemctl --root=/ "$@" || exit
}

systemctl() {
    verb='' now=no quiet=no
    for word; do
        case $word in
            --now) now=yes ;;
            --quiet | -q) quiet=yes ;;
            -*) ;;
            *) [ -n "$verb" ] || verb=$word ;;
        esac
    done
    words=$*
    case $verb in
        poweroff | halt | reboot | kexec | soft-reboot) power "$verb" ;;
        start | restart | try-restart | reload-or-restart | stop | is-active | enable | disable | mask | reenable) ;;
        daemon-reload | daemon-reexec | reset-failed | reload | kill | isolate | set-property | import-environment) exit 0 ;;
        is-system-running) [ $quiet = yes ] || echo running; exit 0 ;;
        is-failed) [ $quiet = yes ] || echo inactive; exit 1 ;;
        unmask | is-enabled | preset | list-unit-files | get-default | set-default | cat | '') offline "$@" ;;
        *) fail 1 "systemctl $words: not possible on a light machine, which runs no systemd" ;;
    esac
    case $verb in enable | disable | mask | reenable) without_now "$@" ;; esac
    # From here on only the units matter; the verb is the first word that is no option.
    seen=no
    for word; do
        shift
        if [ $seen = no ] && [ "$word" = "$verb" ]; then seen=yes; else set -- "$@" "$word"; fi
    done
    case $verb/$now in
        start/* | restart/* | reload-or-restart/* | enable/yes | reenable/yes) for_units start_unit "$@" ;;
        stop/*) for_units stop_unit "$@" ;;
        disable/yes | mask/yes) for_units forget_unit "$@" ;;
        is-active/*)
            inactive=no
            for_units tell_unit "$@"
            [ $inactive = no ] || exit 3
            ;;
    esac
    exit 0
}

# --- journalctl: no journal is kept

journalctl() {
    for word; do
        case $word in
            --relinquish-var | --smart-relinquish-var | --flush | --rotate | --sync | --vacuum-*) exit 0 ;;
            --disk-usage) echo "Archived and active journals take up 0B in the file system."; exit 0 ;;
            --version | --help) exec /run/genuine/journalctl "$word" ;;
        esac
    done
    echo "-- No entries --"
    exit 0
}

# --- cloud-init: init.sh has done its part

cloud_init() {
    case ${1-} in
        status)
            shift
            case " $* " in *" --wait "* | *" -w "*) while [ ! -e /run/light/cloud-init ]; do sleep 0.02; done ;; esac
            status=running
            [ ! -e /run/light/cloud-init ] || status=$(cat /run/light/cloud-init)
            echo "status: $status"
            case " $* " in *" --long "* | *" -l "*) echo "detail: light machine of the sandbox" ;; esac
            [ "$status" != error ] || exit 1
            exit 0
            ;;
        clean)
            rm -rf /var/lib/cloud/*
            case " $* " in *" --logs "* | *" -l "*) rm -f /var/log/cloud-init.log /var/log/cloud-init-output.log ;; esac
            case " $* " in *" --machine-id "*) : > /etc/machine-id ;; esac
            exit 0
            ;;
        *) exec /run/genuine/cloud-init "$@" ;;
    esac
}

case $program in
    poweroff | reboot | halt) power "$program" ;;
    shutdown)
        case " $* " in
            *" -c "*) exit 0 ;;
            *" -r "*) power reboot ;;
            *) power poweroff ;;
        esac
        ;;
    journalctl) journalctl "$@" ;;
    cloud-init) cloud_init "$@" ;;
    *) systemctl "$@" ;;
esac
