"""Load the stack file, declare its images, export their names. Nothing else."""

import pulumi

from components.environment import declare, load_environment

images = declare(load_environment(pulumi.get_stack()))

pulumi.export("images", images)
pulumi.export(
    "snapshots", images.apply(lambda records: {f"{item['os']}/{item['kubernetes']}": item["name"] for item in records})
)
