"""Compose files of texts, their folder in memory."""

from __future__ import annotations

import posixpath
from typing import Any

from kubeplay.convert import compose
from kubeplay.convert.model import Converted, Options
from kubeplay.errors import NotFound

HERE = "/project/shop"


class Memory:
    """A folder of texts; a path that ends in a slash is a directory."""

    def __init__(self, files: dict[str, str | bytes], environ: dict[str, str]) -> None:
        self.files = {posixpath.join(HERE, path): text for path, text in files.items()}
        self.environ = environ

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise NotFound(f"{path}: no such file or directory")
        text = self.files[path]
        return text.encode() if isinstance(text, str) else text

    def kind(self, path: str) -> str:
        return "file" if path in self.files else "directory" if f"{path}/" in self.files else ""

    def inside(self, path: str, directory: str) -> bool:
        return path.startswith(directory + "/")


def converted(
    text: str, files: dict[str, str | bytes] | None = None, environ: dict[str, str] | None = None, over: str = "", **options: Any
) -> Converted:
    """What a compose file becomes, with another one laid over it where `over` is given."""
    folder = Memory({"compose.yaml": text, "over.yaml": over, **(files or {})}, {"HOME": "/home/me", **(environ or {})})
    paths = [f"{HERE}/compose.yaml", *([f"{HERE}/over.yaml"] if over else [])]
    return compose.convert(paths, Options(**options), folder)


def one(made: Converted, kind: str, name: str = "") -> dict[str, Any]:
    """The only object of a kind, or the one of that name."""
    found = [obj for obj in made.objects if obj["kind"] == kind and name in ("", obj["metadata"]["name"])]
    assert len(found) == 1, [(obj["kind"], obj["metadata"]["name"]) for obj in made.objects]
    return found[0]


def pod(made: Converted, name: str = "") -> dict[str, Any]:
    """The pod's spec of a workload."""
    found = [obj for obj in made.objects if obj["kind"] in ("Deployment", "DaemonSet", "Job") and name in ("", obj["metadata"]["name"])]
    assert len(found) == 1
    spec: dict[str, Any] = found[0]["spec"]["template"]["spec"]
    return spec


def service(fields: str, rest: str = "", **more: Any) -> Converted:
    """A project of one service `web` with these fields (lines without indentation)."""
    body = "\n".join("    " + line for line in fields.strip().splitlines())
    return converted(f"services:\n  web:\n    image: web:1\n{body}\n{rest}", **more)


def container(fields: str, rest: str = "", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = pod(service(fields, rest, **more))["containers"][0]
    return found


def notes(made: Converted) -> str:
    return "\n".join(map(str, made.notes))
