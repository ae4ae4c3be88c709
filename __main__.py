"""Load the stack file, declare its images, export their names. Nothing else."""

import pulumi

from components.environment import declare, load_environment

records = declare(load_environment(pulumi.get_stack()))

pulumi.export(
    "snapshots",
    pulumi.Output.all(*records).apply(
        lambda images: {f"{image['os']}/{image['kubernetes']}": image["name"] for image in images}
    ),
)
pulumi.export("images", records)
