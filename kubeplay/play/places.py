"""Where in its file a fault stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeplay.errors import Fault

if TYPE_CHECKING:
    from kubeplay.kube.document import Document


def placed(fault: Fault, document: Document) -> Fault:
    """`fault` with source, line, column and document number."""
    from kubeplay.kube.document import parse_path

    line, column = document.positions.at(parse_path(fault.path, document.value))
    return fault._replace(source=document.source, line=line, column=column, document=document.index)
