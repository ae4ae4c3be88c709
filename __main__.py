"""Load the stack file, declare its images, export their names. Nothing else."""

import pulumi

from components.environment import declare, load_environment
from components.quiet import short_stacks, spare_debug_messages
from images.exports import INTERFACE, earlier_records, names_by_version

spare_debug_messages()
environment = load_environment(pulumi.get_stack())
with short_stacks():
    images = declare(environment)

pulumi.export("interface", INTERFACE)
pulumi.export("images", images)
# A preview does not know all of a new image, but its name.
pulumi.export("snapshots", images.apply(names_by_version, run_with_unknowns=True))
pulumi.export("earlier", earlier_records(environment.earlier, environment.plan.tarballs))
