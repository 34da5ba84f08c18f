"""Reading manifests, and holding them against the schemas of Kubernetes' own resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import yaml
from kubernetes_validate import ValidationError, validate
from kubernetes_validate.utils import all_versions, major_minor

Manifest: TypeAlias = Mapping[str, Any]

# Of other projects; the validator has no schemas of theirs.
FOREIGN = ("monitoring.coreos.com/", "keda.sh/")


def newest_versions() -> Sequence[str]:
    """The three newest versions of Kubernetes that the validator knows, as major.minor."""
    known = dict.fromkeys(str(major_minor(version)) for version in all_versions())
    return list(known)[-3:]


def manifests_of(text: str) -> Sequence[Manifest]:
    """Every manifest in it; sections without one are left out."""
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def faults(manifests: Sequence[Manifest], version: str) -> Sequence[str]:
    """What that version of Kubernetes would refuse, unknown members included."""
    found = []
    for manifest in manifests:
        if str(manifest["apiVersion"]).startswith(FOREIGN):
            continue
        try:
            validate(dict(manifest), version, strict=True)
        except ValidationError as error:
            where = "/".join(str(step) for step in error.path)
            found.append(f"{manifest['kind']} {name_of(manifest)}: {where}: {error.message}")
    return found


def name_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def named(manifests: Sequence[Manifest], kind: str) -> Mapping[str, Manifest]:
    """Those of a kind, by name."""
    return {name_of(manifest): manifest for manifest in manifests if manifest["kind"] == kind}


def pods(manifests: Sequence[Manifest]) -> Mapping[str, Mapping[str, Any]]:
    """The pod specifications of Deployments and Jobs, by the name of what makes them."""
    return {
        name_of(manifest): manifest["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] in {"Deployment", "Job"}
    }
