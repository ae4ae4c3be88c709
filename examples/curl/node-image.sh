#!/bin/bash
# A node image with bash, curl and jq: create a server, run the recipe on it, make a snapshot, boot a server from the snapshot,
# run the acceptance tests there, and only then give the snapshot the name by which Cluster API Provider Hetzner finds it.
#
#   node-image.sh build FOLDER               all of that
#   node-image.sh verify FOLDER SNAPSHOT     from the boot on, for a snapshot that was made otherwise, such as by Packer
#
# FOLDER holds image.json, provision.sh and acceptance.sh: the forms `image`, `script` and `acceptance` of
# `./node-images render`. HCLOUD_TOKEN is the API token (read and write). Prints the image's name.
# Servers, keys and snapshots that failed are deleted however this ends, by Ctrl-C as well.
set -euo pipefail

ACTION_SECONDS=900   # a snapshot takes minutes
SSH_SECONDS=300      # from the power button to the login
SHUTDOWN_SECONDS=90  # until a server that does not listen is cut off
RETRY_SECONDS=60     # while the API cannot be reached, or has too much to do
CLEAN_UP_SECONDS=600 # a server is locked while its snapshot is made

say() { printf '== %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

usage() {
    sed -n '5,6s/^#   /usage: /p' "$0" >&2
    exit 2
}

main() {
    [[ $# -ge 2 ]] || usage
    local command=$1 folder=$2
    case $command/$# in
    build/2 | verify/3) ;;
    *) usage ;;
    esac
    require_tools
    read_order "$folder"
    work=$(mktemp --directory)
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    "$command" "${@:3}"
}

require_tools() {
    local tool missing=()
    for tool in curl flock jq ssh ssh-keygen; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [[ ${#missing[@]} -eq 0 ]] || die "not installed: ${missing[*]}"
    [[ ${HCLOUD_TOKEN:-} ]] || die "HCLOUD_TOKEN is not set: export an API token (read and write) of the Hetzner Cloud project"
    # Programs that this script starts have no use for it.
    export -n HCLOUD_TOKEN
    endpoint=${HCLOUD_ENDPOINT:-https://api.hetzner.cloud/v1}
}

# read_order FOLDER: what image is wanted.
read_order() {
    local form file
    for form in image:image.json script:provision.sh acceptance:acceptance.sh; do
        file=$1/${form#*:}
        [[ -s $file ]] || die "$file is missing: ./node-images render ${form%:*} --os ... --kubernetes ... --output $file"
    done
    order=$1/image.json provision=$1/provision.sh acceptance=$1/acceptance.sh
    name=$(jq --exit-status --raw-output .name "$order") || die "$order is not what ./node-images render image gives"
    architecture=$(jq --raw-output .architecture "$order")
    ssh_port=$(jq --raw-output .sshPort "$order")
    mirror=$(jq --raw-output .mirror "$order")
    # All that this run makes carries this label until it is published: by it, and by nothing else, it is deleted again.
    run=$(printf '%04x%04x' "$RANDOM" "$RANDOM")
    labels="{\"managed-by\": \"node-image.sh\", \"run\": \"$run\"}"
}

build() {
    local others machine_id facts
    others=$(patience=0 others_of_that_name)
    if [[ $others ]]; then
        say "$name is there already: snapshot $others"
        printf '%s\n' "$name"
        return
    fi
    new_server builder "$(jq .image "$order")"
    machine_id=$(on_server cat /etc/machine-id)
    facts=("BUILDER_NAME=$server_name" "BUILDER_MACHINE_ID=$machine_id"
        "BUILDER_HOST_KEY=$(cat "$work/builder-host.pub")" "BUILDER_LOGIN_KEY=$(cat "$work/builder-login.pub")")
    say "running $provision"
    run_on_server "$provision" >&2 || die "$provision failed on the build server"
    power_off
    make_snapshot
    delete "servers/$server"
    prove_and_publish "${facts[@]}"
}

# verify SNAPSHOT
verify() {
    local found
    snapshot=$1
    [[ $snapshot =~ ^[0-9]+$ ]] || die "$snapshot is not the id of a snapshot: a number"
    found=$(patience=0 api GET "/images/$snapshot" | jq .image)
    [[ $(jq --raw-output '"\(.type) \(.architecture)"' <<<"$found") == "snapshot $architecture" ]] ||
        die "image $snapshot is not a snapshot of $architecture, as $order wants it"
    prove_and_publish "BUILDER_NAME=$(jq --raw-output .created_from.name <<<"$found")"
}

# prove_and_publish NAME=VALUE...: boots the snapshot; what is told of its build server must be gone.
prove_and_publish() {
    refuse_others
    new_server verifier "$snapshot"
    say "running $acceptance"
    run_on_server "$acceptance" "$@" >"$work/result" || die "snapshot $snapshot fails its acceptance tests: not published"
    say "acceptance tests: $(cat "$work/result")"
    publish
    say "snapshot $snapshot: caph-image-name=$name"
    printf '%s\n' "$name"
}

# --- Hetzner Cloud ---

# api METHOD PATH [BODY]: prints the answer. Says what is wrong otherwise, and keeps the error's code for error_code. Calls
# again where nothing has happened: too many calls, something is locked; or where it does no harm to call twice.
api() {
    local method=$1 path=$2 body=${3:-} data=() status code until=$((SECONDS + ${patience:-$RETRY_SECONDS}))
    [[ -z $body ]] || data=(--data @-)
    while :; do
        status=$(call "$method" "$path" "${data[@]}" <<<"$body") || status=000
        [[ $status != 2* ]] || break
        code=$(error_code)
        case $code/$status in
        rate_limit_exceeded/* | conflict/* | locked/*) ;;
        */000 | */5??) [[ $method != POST ]] || refused "$method" "$path" "$status" || return ;;
        *) refused "$method" "$path" "$status" || return ;;
        esac
        ((SECONDS < until)) || refused "$method" "$path" "$status" || return
        sleep 2
    done
    cat "$work/answer"
}

# call METHOD PATH [OPTION...]: one call; prints its status. A Ctrl-C does not cut it in half, and the calls that clean up
# wait for its end, or they would miss what it makes. The token comes by a pipe: everybody here can read command lines.
call() (
    trap '' HUP INT TERM
    exec 9>"$work/lock"
    flock 9
    : >"$work/answer"
    curl 2>"$work/curl-error" --config <(printf 'header = "Authorization: Bearer %s"\n' "$HCLOUD_TOKEN") --header 'Content-Type: application/json' \
        --silent --show-error --max-time 60 --output "$work/answer" --write-out '%{http_code}' \
        --request "$1" "${@:3}" "$endpoint$2"
)

refused() {
    local why
    why=$(jq --raw-output '.error // empty | "\(.message) (\(.code))"' "$work/answer" 2>/dev/null) || true
    printf 'error: %s %s%s: %s\n' "$1" "$endpoint" "$2" "${why:-status $3 $(cat "$work/curl-error")}" >&2
    return 1
}

error_code() { jq --raw-output '.error.code // empty' "$work/answer" 2>/dev/null || true; }

# finish: waits for the actions of the answer on standard input.
finish() {
    local id action until=$((SECONDS + ACTION_SECONDS))
    for id in $(jq '.action, .next_actions[]? | .id'); do
        while :; do
            action=$(api GET "/actions/$id" | jq .action)
            case $(jq --raw-output .status <<<"$action") in
            success) break ;;
            error) die "$(jq --raw-output '"\(.command): \(.error.message) (\(.error.code))"' <<<"$action")" ;;
            esac
            ((SECONDS < until)) || die "$(jq --raw-output .command <<<"$action") takes longer than $ACTION_SECONDS s"
            sleep 1
        done
    done
}

# new_server ROLE IMAGE: a server with a login key and a host key of its own; sets server, server_name and address.
new_server() {
    local role=$1 image=$2 key type location answer
    server_name=${name//./-}-$role
    say "creating server $server_name"
    for key in login host; do
        ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/$role-$key"
    done
    printf 'node-image %s\n' "$(cat "$work/$role-host.pub")" >"$work/known_hosts"
    login=$work/$role-login made=yes
    key=$(api POST /ssh_keys "$(jq --null-input --arg name "$server_name" --rawfile key "$login.pub" --argjson labels "$labels" \
        '{name: $name, public_key: $key, labels: $labels}')" | jq .ssh_key.id) || refused_name
    user_data "$work/$role-host" >"$work/user-data"
    while read -r type location; do
        if answer=$(api POST /servers "$(server_request "$image" "$key" "$type" "$location")"); then
            server=$(jq .server.id <<<"$answer")
            address=$(jq --raw-output .server.public_net.ipv4.ip <<<"$answer")
            finish <<<"$answer"
            wait_for_ssh
            return
        fi
        case $(error_code) in
        resource_unavailable | placement_error | invalid_input | unsupported_error) say "$type in $location: not to be had" ;;
        *) refused_name ;;
        esac
    done < <(jq --raw-output '.serverTypes[] as $type | .locations[] as $location | "\($type) \($location)"' "$order")
    die "no server is to be had: add to serverTypes or locations in $order, or try again later"
}

# refused_name: ends a run whose server or key the API has refused and said why.
refused_name() {
    [[ $(error_code) != uniqueness_error ]] ||
        die "$server_name belongs to a run that goes on, or was left by one that was killed: delete it (managed-by=node-image.sh)"
    exit 1
}

# user_data HOST_KEY: cloud-init gives the server its host key, so that the first connection is to this server already.
user_data() {
    printf '#cloud-config\n'
    jq --null-input --rawfile private "$1" --rawfile public "$1.pub" '{ssh_deletekeys: true, ssh_genkeytypes: ["ed25519"],
        ssh_keys: {ed25519_private: $private, ed25519_public: $public}}'
}

server_request() {
    jq --null-input --arg name "$server_name" --argjson image "$1" --argjson key "$2" --arg type "$3" --arg location "$4" \
        --argjson labels "$labels" --rawfile user_data "$work/user-data" '{name: $name, image: $image, ssh_keys: [$key],
        server_type: $type, location: $location, labels: $labels, user_data: $user_data}'
}

power_off() {
    say "powering off"
    api POST "/servers/$server/actions/shutdown" '{}' | finish
    is_off && return
    api POST "/servers/$server/actions/poweroff" '{}' | finish
    is_off || die "server $server does not power off: a snapshot of a running disk is not consistent"
}

is_off() {
    local until=$((SECONDS + SHUTDOWN_SECONDS))
    while ((SECONDS < until)); do
        [[ $(api GET "/servers/$server" | jq --raw-output .server.status) != off ]] || return 0
        sleep 1
    done
    return 1
}

# make_snapshot: sets snapshot.
make_snapshot() {
    local answer
    say "making the snapshot"
    answer=$(api POST "/servers/$server/actions/create_image" "$(jq --argjson own "$labels" \
        '{type: "snapshot", description: .name, labels: (.labels + $own)}' "$order")")
    snapshot=$(jq .image.id <<<"$answer")
    finish <<<"$answer"
}

# others_of_that_name: ids of the snapshots that have the name, but for ours.
others_of_that_name() {
    api GET "/images?type=snapshot&architecture=$architecture&label_selector=caph-image-name%3D$name" |
        jq --argjson ours "${snapshot:-0}" '.images[].id | select(. != $ours)'
}

refuse_others() {
    local others
    others=$(others_of_that_name)
    [[ -z $others ]] || die "snapshot $others has caph-image-name=$name already: with two of them CAPH makes no server"
}

publish() {
    local found
    refuse_others
    found=$(api GET "/images/$snapshot")
    api PUT "/images/$snapshot" "$(jq --arg name "$name" \
        '{labels: (.image.labels | del(.run) + {"caph-image-name": $name})}' <<<"$found")" >/dev/null
}

# delete PATH: waits as long as something else holds it.
delete() { patience=$CLEAN_UP_SECONDS api DELETE "/$1" >/dev/null || [[ $(error_code) == not_found ]]; }

# --- the server ---

on_server() {
    ssh -F none -i "$login" -p "$ssh_port" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 \
        -o StrictHostKeyChecking=yes -o HostKeyAlias=node-image -o UserKnownHostsFile="$work/known_hosts" \
        "root@$address" "$@"
}

wait_for_ssh() {
    local until=$((SECONDS + SSH_SECONDS))
    until on_server true 2>"$work/ssh-error" </dev/null; do
        ((SECONDS < until)) || die "no login to $address, port $ssh_port, within $SSH_SECONDS s: $(cat "$work/ssh-error")"
        sleep 1
    done
}

# run_on_server FILE [NAME=VALUE...]: runs a script in /run, which is no part of the disk. In the background, because a
# shell hears no signal while it waits for a program.
run_on_server() {
    local status=0
    on_server 'cat >/run/node-image.sh' <"$1" || return
    on_server "$(printf '%q ' env "MIRROR=$mirror" "${@:2}" bash /run/node-image.sh)" </dev/null &
    running=$!
    wait "$running" || status=$?
    running=
    return "$status"
}

clean_up() {
    local status=$? kind found id left=
    trap '' HUP INT TERM
    set +e
    [[ -z ${running:-} ]] || kill "$running"
    if [[ ${made:-} ]]; then
        say "deleting what is not needed any more"
        for kind in servers images ssh_keys; do
            found=$(api GET "/$kind?label_selector=run%3D$run") || left=yes
            for id in $(jq --arg kind "$kind" '.[$kind][]?.id' <<<"$found"); do
                delete "$kind/$id" || left=yes
            done
        done
    fi
    if [[ $left ]]; then
        printf 'error: not everything is deleted: look for the label run=%s in the project\n' "$run" >&2
        status=1
    fi
    rm --recursive --force "$work"
    exit "$status"
}

main "$@"
