"""What a stack file lays over the kubeadm configuration of the tests."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from recipe.kubeadm import Fragment, KubeadmSettings, merged

FRAGMENT = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
encryptionAlgorithm: ECDSA-P256
---
kind: KubeProxyConfiguration
mode: nftables
"""


def read(value: object, folder: Path = Path()) -> KubeadmSettings:
    settings: KubeadmSettings = TypeAdapter(Fragment).validate_python(value, context={"folder": folder})
    return settings


def by_kind(settings: KubeadmSettings) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in settings.documents("1.36.4")}


def test_without_a_fragment_there_is_what_kubeadm_must_be_told() -> None:
    documents = by_kind(read({}))
    assert set(documents) == {"ClusterConfiguration", "InitConfiguration"}
    assert documents["ClusterConfiguration"]["kubernetesVersion"] == "v1.36.4"
    assert documents["InitConfiguration"]["nodeRegistration"]["criSocket"].endswith("/containerd.sock")


def test_a_fragment_is_laid_over_ours() -> None:
    documents = by_kind(
        read(
            {
                "InitConfiguration": {"nodeRegistration": {"imagePullPolicy": "Never"}},
                "KubeletConfiguration": {"maxPods": 50},
            }
        )
    )
    assert set(documents["InitConfiguration"]["nodeRegistration"]) == {"criSocket", "imagePullPolicy"}
    assert documents["KubeletConfiguration"] == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "maxPods": 50
    }  # fmt: skip


def test_a_fragment_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "kubeadm.yaml").write_text(FRAGMENT)
    documents = by_kind(read("kubeadm.yaml", tmp_path))
    assert documents["ClusterConfiguration"]["encryptionAlgorithm"] == "ECDSA-P256"
    assert documents["KubeProxyConfiguration"]["mode"] == "nftables"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: JoinConfiguration", "document of kind JoinConfiguration"),
        ("- a list", "document of kind None"),
        (FRAGMENT + "---\n" + FRAGMENT, "two documents of one kind"),
        ("kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta3", "is written in kubeadm.k8s.io/v1beta3"),
        ("kind: [", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "kubeadm.yaml").write_text(text)
    with pytest.raises(ValidationError) as caught:
        read("kubeadm.yaml", tmp_path)
    assert said in caught.value.errors()[0]["ctx"]["rule"]


def test_lists_are_taken_as_a_whole() -> None:
    assert merged({"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"c": [2]}, "e": 3}) == {
        "a": {"b": 1, "c": [2]}, "d": 2, "e": 3
    }  # fmt: skip
