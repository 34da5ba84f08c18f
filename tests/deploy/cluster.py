"""`kubectl` and `helm`, as far as the documentation asks for them, over `tests.deploy.containers`.

What is applied is what the checker, with Helm's and Kustomize's own libraries, makes of the chart
and the folders.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.deploy.containers import Container, Machine
from tests.deploy.manifests import Manifest, manifests_of, name_of, named
from workshop.manifests import checked, template

HOOK: Final = "helm.sh/hook"


def values_of(assignments: Iterable[str]) -> Mapping[str, Any]:
    """The chart's values that `--set a.b=TEXT` stand for."""
    values: dict[str, Any] = {}
    for path, text in (each.split("=", 1) for each in assignments):
        *members, leaf = path.split(".")
        inner = values
        for member in members:
            inner = inner.setdefault(member, {})
        inner[leaf] = text
    return values


class Cluster:
    """Namespaces with their Secrets; every Deployment has one pod."""

    def __init__(self, root: Path, checker: Path, machine: Machine, folder: Path) -> None:
        """`folder` is for what lies in between; pages write paths below `root`."""
        self._root = root
        self._checker = checker
        self._machine = machine
        self._folder = folder
        self._secrets: dict[str, dict[str, Mapping[str, str]]] = {}

    def kubectl(self, words: Sequence[str]) -> str:
        """Carry out a command of `kubectl`."""
        parser = argparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("--namespace", default="default")
        verbs = parser.add_subparsers(dest="verb", required=True)
        kinds = verbs.add_parser("create").add_subparsers(dest="kind", required=True)
        kinds.add_parser("namespace").add_argument("name")
        generic = kinds.add_parser("secret").add_subparsers(required=True).add_parser("generic")
        generic.add_argument("name")
        generic.add_argument("--from-literal", action="append", required=True)
        verbs.add_parser("apply").add_argument("--kustomize", required=True)
        given = parser.parse_args(list(words))
        if given.verb == "apply":
            built = checked(self._checker, "kustomize", self._root / given.kustomize)
            self.apply(manifests_of(built))
        elif given.kind == "namespace":
            self._secrets[given.name] = {}
        else:
            pairs = (literal.split("=", 1) for literal in given.from_literal)
            self._secrets[given.namespace][given.name] = dict(pairs)
        return ""

    def helm(self, words: Sequence[str]) -> str:
        """Carry out `helm install`; the release's name is the chart's."""
        parser = argparse.ArgumentParser(exit_on_error=False)
        install = parser.add_subparsers(required=True).add_parser("install")
        install.add_argument("release", choices=["pointsman"])
        install.add_argument("chart")
        install.add_argument("--namespace", required=True)
        install.add_argument("--set", action="append", default=[])
        given = parser.parse_args(list(words))
        file = self._folder / "values.yaml"
        file.write_text(yaml.safe_dump(values_of(given.set)), encoding="utf-8")
        assert (self._root / given.chart / "Chart.yaml").is_file()
        self.apply(manifests_of(template(self._checker, [file])), given.namespace)
        return ""

    def apply(self, manifests: Sequence[Manifest], namespace: str = "default") -> None:
        """Helm's hooks first; then the pods, which other Jobs run beside, until all are ready."""
        jobs = named(manifests, "Job").values()
        hooks = [job for job in jobs if HOOK in job["metadata"].get("annotations", {})]
        for hook in hooks:
            self._machine.run(self._container(hook, namespace))
        for deployment in named(manifests, "Deployment").values():
            self._machine.start(self._container(deployment, namespace))
        for job in jobs:
            if job not in hooks:
                self._machine.run(self._container(job, namespace))
        self._machine.wait_until_all_are_healthy()

    def _container(self, manifest: Manifest, namespace: str) -> Container:
        pod = manifest["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        # What is not carried out here must not be there.
        assert not container.keys() & {"command", "envFrom"}
        assert not any("configMap" in volume for volume in pod["volumes"])
        there = manifest["metadata"].get("namespace", namespace)
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        probe = container.get("readinessProbe", {}).get("httpGet")
        return Container(
            name=name_of(manifest),
            arguments=container["args"],
            environment={each["name"]: self._text(each, there) for each in container["env"]},
            probe=f"{ports[probe['port']]}{probe['path']}" if probe else None,
        )

    def _text(self, variable: Mapping[str, Any], namespace: str) -> str:
        if "value" in variable:
            return str(variable["value"])
        wanted = variable["valueFrom"]["secretKeyRef"]
        return self._secrets[namespace][wanted["name"]][wanted["key"]]
