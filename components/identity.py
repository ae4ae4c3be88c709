"""SSH identities: the key that logs in to a server, and the host key that it is pinned to before it exists."""

import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRIVATE = ("login_private_key", "host_private_key")


def new_identity() -> dict[str, str]:
    """Two fresh ed25519 pairs in OpenSSH's format: `login_*` for the client, `host_*` for the server's sshd."""
    login_private, login_public = _new_pair()
    host_private, host_public = _new_pair()
    return {
        "login_private_key": login_private,
        "login_public_key": login_public,
        "host_private_key": host_private,
        "host_public_key": host_public,
    }


def user_data(host_private_key: str, host_public_key: str) -> str:
    """cloud-init user data that gives a server its pinned host key; JSON, which is YAML that needs no quoting of ours."""
    keys = {"ed25519_private": host_private_key, "ed25519_public": host_public_key}
    return "#cloud-config\n" + json.dumps({"ssh_deletekeys": True, "ssh_genkeytypes": ["ed25519"], "ssh_keys": keys})


def _new_pair() -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()
