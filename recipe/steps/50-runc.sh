# shellcheck shell=bash
# The OCI runtime.
install_program "$RUNC_URL" "$RUNC_SHA256" runc
runc --version | head --lines=1
