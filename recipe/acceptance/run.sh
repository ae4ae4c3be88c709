# shellcheck shell=bash
# Runs the acceptance tests and prints their figures as JSON: on the build server before its snapshot, to fail early, and on
# a server that was booted from the snapshot, which is the gate. goss is in memory: it leaves no trace in the image. The memory
# is mounted for it, because no program may run from /run itself: the initrd of Debian and Ubuntu mounts it with noexec.
report=/run/node-image
KUBELET_SECONDS=${KUBELET_SECONDS:-120}
CLUSTER_SECONDS=${CLUSTER_SECONDS:-900}
# The server was started anew to see its cluster come back, unless it has none.
[[ $WHERE != restarted || -e /etc/kubernetes/admin.conf ]] || exit 0
mkdir --parents "$report"
mountpoint --quiet "$report" || mount --types tmpfs --options mode=0700,nosuid,nodev,exec node-image "$report"
fetch "$GOSS_URL" "$GOSS_SHA256" "$report/goss"
chmod 0755 "$report/goss"
install_files "$SCRIPTS" "$report"
install_text 0600 "$report/variables.json" <<<"$VARIABLES"
install_text 0600 "$report/tests.json" <<<"$TESTS"
install_text 0600 "$report/settings" <<<"KUBELET_SECONDS=$KUBELET_SECONDS PAUSE_IMAGE=$PAUSE_IMAGE"
# What could not be shown (in any order, as goss asks in any), and the seconds that something took, a line each.
: >"$report/why"
: >"$report/seconds"
[[ $WHERE != booted ]] || cloud-init status --wait >/dev/null || [[ $? -eq 2 ]] || die "cloud-init failed: $(cloud-init status --long)"
kubeadm_configuration "$(no_fault_of_the_image)" | install_text 0600 "$report/kubeadm.yaml"
bash "$report/ask.sh" "$report/tests.json" >"$report/report.json" || die "goss made no report: $(cat "$report/report.json")"
# A test that goss left out, or all of them, must not pass for a test that went well.
asked=$(jq '[.[] | keys[]] | length' "$report/tests.json")
answered=$(jq '[.results[] | select(.skipped | not) | [."resource-type", ."resource-id"]] | unique | length' "$report/report.json")
[[ $asked -gt 0 && $answered -eq $asked ]] || die "goss answered $answered of $asked acceptance tests"
jq --raw-output '.results[] | select(.successful | not) |
    "failed: \(."resource-type") \(."resource-id"): \(.property) \(."summary-line-compact" // ."summary-line" | .[:2000])"' "$report/report.json" >&2

# what_it_says COMMAND: goss does not show what a command printed, and people need it to see what is wrong. What starts
# something has kept its words, and is not started again for them.
what_it_says() {
    local kept=${1#bash } words
    kept=${kept%% *}.said
    if [[ -e $kept ]]; then words=$(<"$kept"); else words=$(bash -c "$1" 2>&1); fi
    # kubeadm has much to say before its errors.
    grep --fixed-strings '[ERROR' <<<"$words" || head --lines=6 <<<"$words"
}
while IFS= read -r item; do
    command=$(jq --raw-output --arg item "$item" '.command[$item].exec' "$report/tests.json")
    [[ $command == *'{{'* ]] || say "  $item: $(what_it_says "$command")" >&2
done < <(jq --raw-output '[.results[] | select(.successful | not) | select(."resource-type" == "Command") | ."resource-id"] | unique[]' "$report/report.json")
failures=$(jq --raw-output '.summary["failed-count"]' "$report/report.json")
[[ $failures -eq 0 ]] || die "$failures acceptance tests failed"

# Seconds from the start of the kernel until sshd was ready: a container has its host's kernel, there they count from its own start.
boot_to_ssh() {
    local begin=0 unit ready
    ! systemd-detect-virt --quiet --container || begin=$(systemctl show --property=UserspaceTimestampMonotonic --value)
    for unit in ssh.socket sshd.socket ssh.service sshd.service; do
        ready=$(systemctl show "$unit" --property=ActiveEnterTimestampMonotonic --value)
        [[ ${ready:-0} -eq 0 ]] || { awk -v micro=$((ready - begin)) 'BEGIN {printf "ssh %.1f\n", micro / 1e6}' && return; }
    done
}
[[ $WHERE == builder ]] || boot_to_ssh >>"$report/seconds"

level=boot
case $LEVEL:$WHERE in
    boot:*) ;;
    *:restarted)
        wait_for_cluster
        level=cluster
        ;;
    *)
        has_processors_for_a_cluster || echo 'this server has one processor, and kubeadm asks for two' >>"$report/why"
        if [[ ! -s $report/why ]]; then
            make_cluster
            level=cluster
        elif [[ $LEVEL == join ]] || { [[ $LEVEL == cluster ]] && ! systemd-detect-virt --quiet --container; }; then
            die "no cluster can be made of this server, and verification: $LEVEL asks for one: $(cat "$report/why")"
        fi
        ;;
esac
jq --compact-output --arg level "$level" --rawfile why "$report/why" --rawfile seconds "$report/seconds" '
    {passed: .summary["test-count"], total: .summary["test-count"], level: $level,
     seconds: ([$seconds | split("\n")[] | select(. != "") | split(" ") | {(.[0]): (.[1] | tonumber)}] | add // {})}
    + if $why == "" then {} else {why: ($why | rtrimstr("\n") | split("\n") | sort | join("; "))} end' "$report/report.json"
