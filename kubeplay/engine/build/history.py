"""An image's history: the words buildah and docker write for each step, so that `history` shows what people know."""

from __future__ import annotations

from typing import Any

from kubeplay.engine.build import model
from kubeplay.engine.build.model import Step
from kubeplay.engine.build.scope import DEFAULT_SHELL

_NOP = "/bin/sh -c #(nop) "


def created_by(step: Step, summary: str = "") -> str:
    """`summary` stands for a COPY's or ADD's sources: "file:HEX", "dir:HEX", "multi:HEX". No text holds secrets or proxies."""
    one, action = step.instruction, step.action
    if isinstance(action, model.Run):
        text = " ".join(action.argv)
        if action.script:
            text = f"{' '.join(DEFAULT_SHELL)} {one.text}\n{action.script.content}{action.script.name}"
        args = [f"{name}={value}" for name, value in action.args]
        return f"|{len(args)} {' '.join(args)} {text}" if args else text
    if isinstance(action, model.Copy):
        return f"{_NOP}{one.name} {summary or ' '.join(source.value for source in action.sources)} in {action.target} "
    return f"{_NOP}{one.name} {''.join(_flag(flag) for flag in one.flags)}{one.text}".rstrip()


def _flag(flag: model.Flag) -> str:
    return f"--{flag.name} " if flag.value is None else f"--{flag.name}={flag.value} "


def entry(step: Step, created: str, empty: bool, summary: str = "", comment: str = "", author: str = "") -> dict[str, Any]:
    """A history entry; `created` is RFC 3339, `comment` "FROM image" at the first step as buildah has it."""
    made: dict[str, Any] = {"created": created, "created_by": created_by(step, summary)}
    if author:
        made["author"] = author
    if comment:
        made["comment"] = comment
    if empty:
        made["empty_layer"] = True
    return made
