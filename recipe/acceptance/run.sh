# shellcheck shell=bash
# Runs the acceptance tests and prints goss's figures as JSON: on the build server before its snapshot, to fail early, and on
# a server that was booted from the snapshot, which is the gate. goss is in memory: it leaves no trace in the image. The memory
# is mounted for it, because no program may run from /run itself: the initrd of Debian and Ubuntu mounts it with noexec.
report=/run/node-image
mkdir --parents "$report"
mountpoint --quiet "$report" || mount --types tmpfs --options mode=0700,nosuid,nodev,exec node-image "$report"
fetch "$GOSS_URL" "$GOSS_SHA256" "$report/goss"
chmod 0755 "$report/goss"
install_text 0600 "$report/variables.json" <<<"$VARIABLES"
install_text 0600 "$report/tests.json" <<<"$TESTS"
[[ $WHERE != booted ]] || cloud-init status --wait >/dev/null || [[ $? -eq 2 ]] || die "cloud-init failed: $(cloud-init status --long)"
# Kernel settings and the kernel's own configuration belong to the host of a container: nothing of ours can set them there.
ignored=none
if systemd-detect-virt --quiet --container; then
    ignored=SystemVerification,FileContent--proc-sys-net-ipv4-ip_forward,FileContent--proc-sys-net-bridge-bridge-nf-call-iptables
fi
install_text 0600 "$report/kubeadm.yaml" <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$KUBERNETES_VERSION
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  ignorePreflightErrors: [$ignored]
EOF
status=0
"$report/goss" --gossfile "$report/tests.json" --vars "$report/variables.json" \
    validate --format json --no-color --max-concurrent 4 >"$report/report.json" || status=$?
jq --exit-status .summary >/dev/null "$report/report.json" || die "goss made no report: $(cat "$report/report.json")"
# A test that goss left out, or all of them, must not pass for a test that went well.
asked=$(jq '[.[] | keys[]] | length' "$report/tests.json")
answered=$(jq '[.results[] | select(.skipped | not) | [."resource-type", ."resource-id"]] | unique | length' "$report/report.json")
[[ $asked -gt 0 && $answered -eq $asked ]] || die "goss answered $answered of $asked acceptance tests"
jq --raw-output '.results[] | select(.successful | not) |
    "failed: \(."resource-type") \(."resource-id"): \(.property) \(."summary-line-compact" // ."summary-line" | .[:2000])"' "$report/report.json" >&2
# goss does not show what a command printed, and people need it to see what is wrong.
while IFS= read -r item; do
    command=$(jq --raw-output --arg item "$item" '.command[$item].exec' "$report/tests.json")
    [[ $command == *'{{'* ]] || say "  $item: $(bash -c "$command" 2>&1 | head --lines=5)" >&2
done < <(jq --raw-output '[.results[] | select(.successful | not) | select(."resource-type" == "Command") | ."resource-id"] | unique[]' "$report/report.json")
[[ $status -eq 0 ]] || die "$(jq --raw-output '.summary["failed-count"]' "$report/report.json") acceptance tests failed"
level=boot why=
if [[ $LEVEL == cluster ]]; then
    if out_of_reach; then
        why="the sandbox's machines cannot pull $PAUSE_IMAGE, so no cluster can be made on them: $(tail --bytes=300 "$report/pull.log")"
    else
        make_cluster
        level=cluster
    fi
fi
jq --compact-output --arg level "$level" --arg why "$why" '{passed: .summary["test-count"], total: .summary["test-count"], level: $level}
    + (if $why == "" then {} else {why: $why} end)' "$report/report.json"
