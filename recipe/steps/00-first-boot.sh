# shellcheck shell=bash
# Only for images.
# Waits until cloud-init has done its part on the build server, which may hold the package manager's lock.
cloud-init status --wait >/dev/null || [[ $? -eq 2 ]] || die "cloud-init failed: $(cloud-init status --long)"
say "$(cloud-init status)"
