"""kube pull: a namespace of a cluster down to files that play here."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli.clusters import CLUSTER, connect
from kubeplay.cli.declare import command, flag, text
from kubeplay.errors import AlreadyExists, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.cli.app import App
    from kubeplay.cluster.plain import Plain

HELP = """Write the files of a namespace of a Kubernetes cluster, for this machine.

    kubeplay kube pull -n shop > shop.yaml
    kubeplay kube pull -n shop -l app=web --split shop/
    kubeplay kube pull -n shop --show-secrets | kubeplay play kube -

What the cluster filled in is left out: addresses, states, owners, defaults. What means its nodes and its classes of storage is taken away
and noted, in the files and on standard error. The values of Secrets come with --show-secrets only."""


@command(
    "pull",
    HELP,
    text("-l", "--selector", help="Objects with these labels, and what they refer to.", metavar="SELECTOR"),
    CLUSTER,
    text("-f", "--filename", help="Write to this file, which must not exist.", metavar="FILE", complete="file"),
    text("--split", help="Write a file for each object into this directory, and a kustomization.yaml; none of them may exist.",
         metavar="DIR", complete="file"),
    flag("--show-secrets", help="Write the values of Secrets, not placeholders that a cluster refuses."),
    flag("-q", "--quiet", help="Do not say on standard error what was left out and taken away."),
)  # fmt: skip
def pull(app: App, *, selector: str | None, filename: str | None, split: str | None, show_secrets: bool, **given: Any) -> None:
    if filename and split:
        raise InvalidInput("--filename and --split cannot be mixed", hint="one file, or one for each object")
    if filename and os.path.lexists(filename):
        raise AlreadyExists(f'cannot write to "{filename}"; file exists')
    from kubeplay.cli.generate import put
    from kubeplay.cluster import pull as pulling

    with connect(given) as connection:
        namespace = app.namespace if app.namespace_given else connection.access.namespace
        found = pulling.pull(connection, pulling.PullOptions(namespace, selector or "", show_secrets))
        where = f"namespace {namespace} of context {connection.access.context}"
    if not given["quiet"]:
        _tell([*found.notes, *(f"{_title(one)}: {line}" for one in found.found for line in _lines(one))])
    put(_files(found.found, where, bool(split)), filename, split, 0o600 if show_secrets else 0o644)


def _files(found: Sequence[Plain], where: str, split: bool) -> dict[str, str]:
    """Texts by name, "" for the only one."""
    from kubeplay import __version__
    from kubeplay.generate import write

    head = f"# {_comment(where)}, written by kubeplay {__version__}.\n"
    objects = [one.object for one in found]
    texts = write.texts(objects, comment=False)
    documents = ["".join(f"# {_comment(line)}\n" for line in _lines(one)) + text for one, text in zip(found, texts)]
    if not split:
        return {"": head + ("---\n" if len(documents) > 1 else "") + "---\n".join(documents)}
    names = write.split(objects, comment=False)
    kustomization = names.pop(write.KUSTOMIZATION)
    return {**{name: head + text for name, text in zip(names, documents)}, write.KUSTOMIZATION: kustomization}


def _lines(one: Plain) -> list[str]:
    return [*(f"taken away: {field}: {value}" for field, value in one.taken), *one.told]


def _title(one: Plain) -> str:
    return f"{one.object['kind']} {one.object['metadata']['name']}"


def _comment(text: str) -> str:
    """One line without anything that could end a comment."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _tell(lines: Sequence[str]) -> None:
    from kubeplay.cli.failure import safe

    for line in lines:
        print(safe(f"Note: {line}"), file=sys.stderr)
