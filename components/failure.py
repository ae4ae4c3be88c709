"""What happens when an operation of a build fails: a lost connection is tried again, everything else ends the run."""

import pulumi

from components.cloud import Cloud
from images.failure import is_transient, summary

RETRIES = 2
KEPT = "Build servers are kept (onFailure: keep): the next `up` goes on with this step on the same server"
RELEASED = "All build servers of this run are deleted: the next `up` starts what is not finished on new ones"


class FailurePolicy:
    """One for all images of a run. The engine stops every build after the first failure, so their servers go together."""

    def __init__(self, cloud: Cloud, stack: str, *, keep_servers: bool) -> None:
        self.cloud = cloud
        self.stack = stack
        self.keep_servers = keep_servers
        self.ended = False

    def hooks(self, name: str) -> pulumi.ResourceHookBinding:
        """For the resources that work on a server; `name` tells these hooks from those of other servers."""
        return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(f"{name}-on-failure", self.retry)])

    def retry(self, failed: pulumi.ErrorHookArgs) -> bool:
        """Whether to try the operation again; if not, say what failed and release the servers, once."""
        if self.ended:
            return False  # its server was released under it
        if is_transient(failed.errors[0]) and len(failed.errors) <= RETRIES:
            return True
        self.ended = True
        if not self.keep_servers:
            self.cloud.remove_servers_of(self.stack)
        pulumi.log.error(summary(failed.name, failed.errors[0], KEPT if self.keep_servers else RELEASED))
        return False
