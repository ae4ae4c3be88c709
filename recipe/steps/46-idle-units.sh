# shellcheck shell=bash
# Units that do nothing on a node, and take time of its boot (recipe/defaults.yaml).
for unit in $IDLE_UNITS; do
    systemctl stop --quiet "$unit" 2>/dev/null || true # not every system has every one
    systemctl mask --quiet "$unit"
done
say "masked: $IDLE_UNITS"
