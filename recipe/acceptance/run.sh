# shellcheck shell=bash
# Runs the acceptance tests on a server that was booted from the snapshot; prints goss's report as JSON.
# The server is thrown away afterwards, so that goss leaves no trace in the image.
cloud-init status --wait >/dev/null || [[ $? -eq 2 ]] || die "cloud-init failed: $(cloud-init status --long)"
fetch "$GOSS_URL" "$GOSS_SHA256" /run/goss
chmod 0755 /run/goss
install_text 0600 /run/acceptance.yaml <<<"$TESTS"
install_text 0600 /run/acceptance.json <<<"$VARIABLES"
# Kernel settings and the kernel's own configuration belong to the host of a container: nothing of ours can set them there.
ignored=none
if systemd-detect-virt --quiet --container; then
    ignored=SystemVerification,FileContent--proc-sys-net-ipv4-ip_forward,FileContent--proc-sys-net-bridge-bridge-nf-call-iptables
fi
install_text 0600 /run/kubeadm.yaml <<EOF
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
/run/goss --gossfile /run/acceptance.yaml --vars /run/acceptance.json \
    validate --format json --no-color --max-concurrent 4 >/run/report.json || status=$?
jq --exit-status .summary >/dev/null /run/report.json || die "goss made no report: $(cat /run/report.json)"
jq --raw-output '.results[] | select(.successful | not) |
    "failed: \(."resource-type") \(."resource-id"): \(.property) \(."summary-line-compact" // ."summary-line" | .[:2000])"' /run/report.json >&2
jq --compact-output '{passed: (.summary["test-count"] - .summary["failed-count"]), total: .summary["test-count"]}' /run/report.json
[[ $status -eq 0 ]] || die "$(jq --raw-output '.summary["failed-count"]' /run/report.json) acceptance tests failed"
