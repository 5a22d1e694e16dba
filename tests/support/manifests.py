"""Manifests in tests: YAML text to what `play` works on, without files."""

from __future__ import annotations

import io
import json
from typing import Any

from kubeplay.kube.check import Manifest
from kubeplay.plan.pod import PodPlan
from kubeplay.plan.stack import PlannedObject, Stack
from kubeplay.play import read, stack
from kubeplay.play.compile import CompileOptions


def manifests(text: str, **options: Any) -> list[Manifest]:
    """The checked manifests of a YAML text."""
    return read.read(["-"], io.BytesIO(text.encode()), **options)


def play(text: str, **options: Any) -> Stack:
    """The Stack of a YAML text; `options` are CompileOptions."""
    return stack.build(manifests(text), CompileOptions(**options))


def pod(spec: str, meta: str = "name: p", **options: Any) -> PodPlan:
    """The plan of one Pod from the flow-style YAML of its spec."""
    (made,) = play(f"apiVersion: v1\nkind: Pod\nmetadata: {{{meta}}}\nspec: {{{spec}}}\n", **options).pods
    return made


def container(fields: str, spec: str = "", **options: Any) -> Any:
    """The plan of the one container `c` of image `i:1`."""
    one = ", ".join(filter(None, ["name: c", "image: 'i:1'", fields]))
    return pod(", ".join(filter(None, [spec, f"containers: [{{{one}}}]"])), **options).containers[-1]


def body(planned: PlannedObject) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(planned.body)
    return found
