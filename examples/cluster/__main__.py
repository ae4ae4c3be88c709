"""An HCloudMachineTemplate whose image comes from the stack of the node images."""

import json

import pulumi

config = pulumi.Config()
image = config.require("image")
names = pulumi.StackReference(config.require("images-stack")).require_output("snapshots")


def machine_template(image_name: str) -> str:
    """The manifest, as JSON, which kubectl takes as well. Templates are immutable: each is named after its image."""
    return json.dumps(
        {
            "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1",
            "kind": "HCloudMachineTemplate",
            "metadata": {"name": f"workers-{image_name}"},
            "spec": {"template": {"spec": {"imageName": image_name, "type": "cx33"}}},
        }
    )


pulumi.export("machineTemplate", names.apply(lambda known: machine_template(known[image])))
