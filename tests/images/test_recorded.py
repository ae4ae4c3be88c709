"""What is known from URNs and outputs, of an engine that was asked or of an exported state."""

from images.recorded import recorded

URN = "urn:pulumi:prod::node-images::node-images:index:NodeImage$pulumi-python:dynamic/node-images:EphemeralServer::"


def test_names_and_servers() -> None:
    found = recorded(
        [
            (f"{URN}image-builder-server", {"server_id": 7.0}),
            (f"{URN}image-verifier-server", {"server_id": None}),
            (f"{URN}image-builder-released", {"server_id": 9}),
        ]
    )
    assert found.names == {"image-builder-server", "image-verifier-server", "image-builder-released"}
    assert found.servers == {7}
