"""The door that files come through, for objects that were made of flags: decoded, defaulted, validated, compiled like any manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeplay.errors import InvalidInput
from kubeplay.plan.stack import Stack
from kubeplay.play.compile import CompileOptions
from kubeplay.play.imperative.draft import Object

if TYPE_CHECKING:
    from kubeplay.kube.admission import Known

SOURCE = "the command line"


def compiled(objects: Sequence[Object], namespace: str, known: Known, options: CompileOptions) -> tuple[Stack, tuple[str, ...]]:
    """The Stack of the objects, and what is to be told of them. Raises InvalidInput with the Pod's fields, and without places in a file."""
    import json

    from kubeplay.play import read, stack

    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    try:
        manifests = read.check_all(((SOURCE, text.encode()),), "strict", namespace, known=known)
        return stack.build(manifests, options), tuple([text for manifest in manifests for text in manifest.warnings])
    except InvalidInput as error:
        faults = [fault._replace(source="", line=0) for fault in error.faults]
        raise InvalidInput(error.message.partition(":")[0] if faults else error.message, faults) from None
