# shellcheck shell=bash
# The OCI runtime.
install_program "$RUNC_URL" "$RUNC_SHA256" runc
version=$(runc --version)
say "${version%%$'\n'*}"
