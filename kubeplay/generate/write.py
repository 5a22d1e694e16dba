"""Manifests as YAML text: one file, or one for each object with a kustomization, with a comment where a cluster needs another value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kube.portable.findings import findings
from kubeplay.kube.portable.model import CLUSTER, INFO, PLACEHOLDER, Facts, Finding

Object = dict[str, Any]
NOTHING = Facts()
KUSTOMIZATION = "kustomization.yaml"
_MARK = "# cluster: "


def to_yaml(objects: Sequence[Object], *, comment: bool = True, facts: Facts = NOTHING) -> str:
    """The manifests as one YAML file."""
    documents = texts(objects, comment=comment, facts=facts)
    start = "---\n" if len(documents) > 1 else ""
    return (header(objects, documents) if comment else "") + start + "---\n".join(documents)


def header(objects: Sequence[Object], documents: Sequence[str]) -> str:
    """The comment at the top of a file: who wrote it, and what a cluster needs of its reader."""
    from kubeplay import __version__

    marked = any(_MARK in text for text in documents)
    how = f'for a cluster, change the lines with "{_MARK.strip()}"' if marked else "a cluster takes it as it is: kubectl create -f FILE"
    lines = [f"Written by kubeplay {__version__}; {how}."]
    if any(obj["kind"] == "Secret" and PLACEHOLDER in (obj.get("data") or {}).values() for obj in objects):
        lines.append("The values of Secrets are left out: fill them in, or generate again with --show-secrets.")
    return "".join(f"# {line}\n" for line in lines)


def texts(objects: Sequence[Object], *, comment: bool = True, facts: Facts = NOTHING) -> list[str]:
    """Each manifest as YAML, with a comment on each line that a cluster would need changed."""
    from kubeplay.kube import write
    from kubeplay.kube.portable.together import together

    if not comment:
        return [write.document(obj) for obj in objects]
    more = together(objects)
    told = [[one for one in (*findings(obj, CLUSTER, facts), *more.get(at, ())) if one.level != INFO] for at, obj in enumerate(objects)]
    return [_commented(write.document(obj), here) if here else write.document(obj) for obj, here in zip(objects, told)]


def _commented(text: str, told: Sequence[Finding]) -> str:
    """The text with what is told at the end of the lines it is about. The writer has one key on a line, so a comment fits there."""
    from kubeplay.kube.document import Positions

    places = Positions(text.encode())
    lines = text.split("\n")
    by_line: dict[int, list[str]] = {}
    for one in told:
        said = "; ".join(filter(None, (one.why, one.remedy))).replace("\n", " ")
        by_line.setdefault(places.at(one.path)[0], []).append(said)
    for number, said_here in by_line.items():
        lines[number - 1] += f"  {_MARK}" + ". ".join(dict.fromkeys(said_here))
    return "\n".join(lines)


def split(objects: Sequence[Object], *, comment: bool = True, facts: Facts = NOTHING) -> dict[str, str]:
    """A file for each manifest by its name (`deployment-web.yaml`), and the kustomization.yaml that lists them.

    Where several namespaces have an object of one name, each name starts with its namespace.
    """
    from kubeplay.kube import write

    names = _names(objects)
    files = {}
    for name, obj, made in zip(names, objects, texts(objects, comment=comment, facts=facts)):
        files[name] = (header([obj], [made]) if comment else "") + made
    listed = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names}
    how = "# kubectl apply -k DIRECTORY, kubeplay play kube -k DIRECTORY\n" if comment else ""
    return {**files, KUSTOMIZATION: how + write.document(listed)}


def _names(objects: Sequence[Object]) -> list[str]:
    plain = [_name(obj) for obj in objects]
    if len(set(plain)) == len(plain):
        return plain
    return [f"{_namespace(obj)}-{name}" for obj, name in zip(objects, plain)]


def _namespace(obj: Object) -> str:
    name = str(obj["metadata"].get("namespace") or "default")
    if "/" in name or "\0" in name:
        raise InvalidInput(f"namespace {name!r} cannot be in a file's name")
    return name


def _name(obj: Object) -> str:
    """`deployment-web.yaml`. RBAC's names may have what a file's cannot."""
    name = str(obj["metadata"]["name"])
    if "/" in name or "\0" in name:
        raise InvalidInput(f"{obj['kind']} {name!r} cannot be a file's name", hint="write one file instead: leave --split out")
    return f"{obj['kind'].lower()}-{name}.yaml"
