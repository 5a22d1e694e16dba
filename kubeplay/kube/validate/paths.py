"""Paths inside manifests (VL3): relative ones stay inside, none steps back with `..`."""

from __future__ import annotations

from kubeplay.kube.validate.report import Faults


def no_steps_back(faults: Faults, path: str, text: str) -> bool:
    """No `..` element; true when fine."""
    if ".." in text.split("/"):
        faults.invalid(path, text, "must not contain '..'")
        return False
    return True


def inside(faults: Faults, path: str, text: str) -> bool:
    """A relative path that goes down only."""
    relative = not text.startswith("/")
    if not relative:
        faults.invalid(path, text, "must be a relative path")
    return no_steps_back(faults, path, text) and relative


def inside_not_reserved(faults: Faults, path: str, text: str) -> None:
    """`inside`, and not starting with `..`, which is the atomic writer's (VO4)."""
    inside(faults, path, text)
    if text.startswith("..") and not text.startswith("../") and text != "..":
        faults.invalid(path, text, "must not start with '..'")


def segment(text: str) -> list[str]:
    """What is wrong with a text as one element of a URL's path: the least that is asked of a kind's or an object's name."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in text]
