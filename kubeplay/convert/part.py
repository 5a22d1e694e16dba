"""What one service is made into, before it is put into a workload."""

from __future__ import annotations

from typing import Any

from kubeplay.convert.model import Object, Options, Report
from kubeplay.convert.names import Unique
from kubeplay.convert.ports import Port
from kubeplay.convert.project import Project
from kubeplay.convert.section import Section
from kubeplay.record import Record


class Part(Record):
    """A service: its container, what its pod needs beside it, and what decides over its workload. `name` is Kubernetes' for it."""

    service: str
    name: str
    section: Section
    container: Object
    pod: Object
    volumes: tuple[Object, ...]
    labels: dict[str, str]
    annotations: dict[str, str]
    ports: tuple[Port, ...]
    aliases: tuple[str, ...] = ()


class Work:
    """One conversion: what every step of it shares. `made` are the ConfigMaps, Secrets and claims that services brought."""

    def __init__(self, project: Project, options: Options, folder: Any, report: Report) -> None:
        self.project, self.options, self.folder, self.report = project, options, folder, report
        self.made: dict[tuple[str, str], Object] = {}
        self.files, self.secrets, self.claims = Unique(), Unique(), Unique()
        self.sharing: dict[str, list[str]] = {}  # claim: the services that write to it
        self.names: dict[str, str] = {}  # service: Kubernetes' name for it

    def top(self, kind: str, name: str) -> Section | None:
        """The entry of a name at the top of the project (`volumes`, `secrets` ...), None where it is not declared."""
        found = Section(self.project.top, "", self.report).section(kind)
        return found.section(name) if name in found.map else None

    def put(self, obj: Object) -> None:
        self.made.setdefault((obj["kind"], obj["metadata"]["name"]), obj)


def config_map(name: str, files: dict[str, bytes]) -> Object:
    """A ConfigMap of texts, and of base64 where it is no text."""
    import base64

    made: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    for key, content in files.items():
        try:
            made.setdefault("data", {})[key] = content.decode("utf-8")
        except UnicodeDecodeError:
            made.setdefault("binaryData", {})[key] = base64.b64encode(content).decode()
    if not made.get("data"):
        made.pop("data", None)
    return made
