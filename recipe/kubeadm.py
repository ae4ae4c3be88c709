"""The kubeadm configuration of the acceptance tests, and what a stack file adds to it. Nothing of it gets into an image."""

from collections.abc import Mapping
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field
from pydantic_core.core_schema import ValidationInfo

from recipe.options import Settings, read_file, rule

API_VERSIONS = {
    "ClusterConfiguration": "kubeadm.k8s.io/v1beta4",
    "InitConfiguration": "kubeadm.k8s.io/v1beta4",
    "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
    "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
}
"""The kinds that may be extended, and the version in which they are written."""

Document = dict[str, Any]

_REGISTRATION: Document = {"nodeRegistration": {"criSocket": "unix:///run/containerd/containerd.sock"}}


class KubeadmSettings(Settings):
    """What is laid over our own configuration, by kind."""

    cluster: Document = Field(default={}, alias="ClusterConfiguration")
    init: Document = Field(default={}, alias="InitConfiguration")
    kubelet: Document = Field(default={}, alias="KubeletConfiguration")
    kube_proxy: Document = Field(default={}, alias="KubeProxyConfiguration")

    def documents(self, kubernetes: str) -> list[Document]:
        """The whole configuration. run.sh adds what only the server knows: its address, time limits, what a container lacks."""
        ours: dict[str, Document] = {
            "ClusterConfiguration": {"kubernetesVersion": f"v{kubernetes}"},
            "InitConfiguration": _REGISTRATION,
        }
        theirs = self.model_dump(by_alias=True)
        return [
            {"apiVersion": version, "kind": kind, **merged(ours.get(kind, {}), theirs[kind])}
            for kind, version in API_VERSIONS.items()
            if kind in ours or theirs[kind]
        ]

    def join_documents(self) -> list[Document]:
        """How another server joins that cluster: as the first was registered, but for what only one node can have."""
        first = merged(_REGISTRATION, self.init)
        shared = {key: first[key] for key in ("timeouts", "patches") if key in first}
        registration = {key: value for key, value in first["nodeRegistration"].items() if key not in ("name", "taints")}
        version = API_VERSIONS["InitConfiguration"]
        return [{"apiVersion": version, "kind": "JoinConfiguration", "nodeRegistration": registration, **shared}]


def merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Document:
    """`theirs` over `ours`: mappings key by key, all else as a whole."""
    both = {
        key: merged(ours[key], value) if isinstance(value, dict) and isinstance(ours.get(key), dict) else value
        for key, value in theirs.items()
    }
    return {**ours, **both}


def _by_kind(value: object, info: ValidationInfo) -> object:
    """A mapping by kind as it is; the documents of a file that is named instead, by their kinds."""
    return _documents(read_file(value, info).text) if isinstance(value, str) else value


def _documents(text: str) -> dict[str, Document]:
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise rule(f"the file is not valid YAML: {error}", "mend that line") from error
    kinds = [document.get("kind") if isinstance(document, dict) else None for document in documents]
    if unknown := [kind for kind in kinds if kind not in API_VERSIONS]:
        raise rule(f"the file has a document of kind {unknown[0]}", f"keep {', '.join(API_VERSIONS)} in it")
    if len(set(kinds)) < len(kinds):
        raise rule("the file has two documents of one kind", "write them as one")
    return {kind: _content(document) for kind, document in zip(kinds, documents, strict=True) if kind}


def _content(document: Document) -> Document:
    kind, version = document["kind"], document.get("apiVersion")
    if version not in (None, API_VERSIONS[kind]):
        raise rule(f"{kind} is written in {version}", f"write it in {API_VERSIONS[kind]}")
    return {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}


Fragment = Annotated[KubeadmSettings, BeforeValidator(_by_kind, json_schema_input_type=KubeadmSettings | str)]
"""As a stack file has it: a mapping by kind, or the name of a YAML file."""
