"""What happens when an operation of a build fails: a lost connection is tried again, everything else ends the build."""

from collections.abc import Mapping

import pulumi

from components.cloud import Cloud
from images.failure import is_transient, summary

RETRIES = 2


def on_failure(server_name: str, labels: Mapping[str, str], cloud: Cloud, *, keep: bool) -> pulumi.ResourceHookBinding:
    """Hooks for the resources that work on a server: retry what may pass, else say what failed and release the server."""

    def decide(failed: pulumi.ErrorHookArgs) -> bool:
        if is_transient(failed.errors[0]) and len(failed.errors) <= RETRIES:
            return True
        if keep:
            fate = f"Server {server_name} is kept (onFailure: keep); the next `up` tries this step again on it"
        else:
            cloud.remove_server(server_name, labels)
            fate = f"Server {server_name} is deleted; the next `up` starts a new one"
        pulumi.log.error(summary(failed.name, failed.errors[0], fate))
        return False

    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(f"{server_name}-on-failure", decide)])
