#!/bin/bash
# ask.sh TESTS: has goss run the tests and prints one report of them: first of all that only look, then of those that start
# something, one at a time.
set -Eeuo pipefail
report=/run/node-image
set -o allexport
# shellcheck source=/dev/null # run.sh writes it
source "$report/settings"
set +o allexport

goss() {
    "$report/goss" --gossfile "$1" --vars "$report/variables.json" validate --format json --no-color --max-concurrent "$2" || true
}

# What waits has a limit of its own, below this one, and says more when it ends.
timed=$(jq --argjson limit "$((1000 * (60 + KUBELET_SECONDS)))" 'if .command then .command |= map_values(.timeout = $limit) else . end' "$1")
starts='.exec | startswith("bash /run/node-image/")'
jq "if .command then .command |= map_values(select($starts | not)) else . end" <<<"$timed" >"$report/looks.json"
jq "{command: (.command // {} | map_values(select($starts)))}" <<<"$timed" >"$report/starts.json"
{
    goss "$report/looks.json" 4
    [[ $(jq '.command | length' "$report/starts.json") -eq 0 ]] || goss "$report/starts.json" 1
} | jq --slurp '{results: map(.results) | add,
    summary: {"test-count": map(.summary["test-count"]) | add, "failed-count": map(.summary["failed-count"]) | add}}'
