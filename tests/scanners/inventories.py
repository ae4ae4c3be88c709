"""What nodes say of themselves, as recipe/acceptance/inventory.sh prints it: a few packages and programs of each system."""

import json

COMPONENTS = {
    name: {"version": version, "sha256": "b" * 64, "url": f"https://example.com/{name}"}
    for name, version in {
        "cni-plugins": "1.9.1",
        "containerd": "2.3.4",
        "crictl": "1.36.0",
        "kubeadm": "1.36.4",
        "kubectl": "1.36.4",
        "kubelet": "1.36.4",
        "runc": "1.4.3",
    }.items()
}

DEBIAN = """
os|debian|13
deb|bash|5.2.37-2+b5|amd64|bash|5.2.37-2
deb|dmsetup|2:1.02.205-2|amd64|lvm2|2.03.31-2
deb|libssl3t64|3.5.9-1~deb13u1|amd64|openssl|3.5.9-1~deb13u1
deb|linux-image-6.12.57+deb13-amd64|6.12.57-1|amd64|linux-signed-amd64|6.12.57+1
deb|lvm2|2.03.31-2|amd64|lvm2|2.03.31-2
"""
UBUNTU = """
os|ubuntu|24.04
deb|libssl3t64|3.0.13-0ubuntu3.6|amd64|openssl|3.0.13-0ubuntu3.6
deb|linux-image-6.8.0-50-generic|6.8.0-50.51|amd64|linux-signed|6.8.0-50.51
deb|linux-modules-6.8.0-50-generic|6.8.0-50.51|amd64|linux|6.8.0-50.51
"""
ROCKY = """
os|rocky|9.6
rpm|gpg-pubkey|0:350d275d-6279464b|(none)|(none)|(none)
rpm|kernel-core|0:5.14.0-570.12.1.el9_6|x86_64|kernel-5.14.0-570.12.1.el9_6.src.rpm|(none)
rpm|nodejs|1:22.16.0-1.module+el9.6.0|x86_64|nodejs-22.16.0-1.module+el9.6.0.src.rpm|nodejs:22:9060020250602085132:rhel9
rpm|openssl-libs|1:3.5.1-4.el9|x86_64|openssl-3.5.1-4.el9.src.rpm|(none)
"""
PROGRAMS = """
program|/opt/cni/bin/bridge|go1.26.5
mod|github.com/containernetworking/plugins|(devel)
program|/usr/local/bin/containerd|go1.26.5
mod|github.com/containerd/containerd/v2|v2.3.4+dirty
dep|golang.org/x/net|v0.50.0
program|/usr/local/bin/kubelet|go1.26.4 X:boringcrypto
mod|k8s.io/kubernetes|(devel)
dep|github.com/google/cadvisor|v0.52.1
dep|k8s.io/apimachinery|v0.0.0
=>|./staging/src/k8s.io/apimachinery|(devel)
dep|k8s.io/client-go|v0.0.0
=>|./staging/src/k8s.io/client-go|(devel)
dep|golang.org/x/net|v0.10.0
=>|golang.org/x/net|v0.51.0
program|/usr/local/bin/my-agent|go1.26.5
mod|example.com/agent|(devel)
dep|example.com/library|v0.0.0
=>|../library|(devel)
program|/usr/local/bin/runc|go1.26.5
mod|github.com/opencontainers/runc|v1.4.3
dep|golang.org/x/net|v0.43.0
"""
SYSTEMS = {"debian-13": DEBIAN, "ubuntu-24.04": UBUNTU, "rocky-9": ROCKY}


def inventory(of: str, lines: str = "") -> str:
    """The text of a node of an operating system, or with other lines. Above, bars stand for tabs, so that people can read it."""
    manifest = {
        "os": of,
        "architecture": "amd64",
        "asOf": None,
        "recipe": "a" * 64,
        "components": {**COMPONENTS, "pause": {"version": "3.10.2"}},
    }
    told = ((lines or SYSTEMS[of]).strip() + PROGRAMS).replace("|", "\t")
    return f"{json.dumps(manifest)}\n\n---\n{told}"
