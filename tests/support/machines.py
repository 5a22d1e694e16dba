"""A machine for the pure part of `run`: nothing is looked up, everything is as a test says."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from kubeplay.kube.admission import Known
from kubeplay.plan.stack import Stack
from kubeplay.play.compile import CompileOptions
from kubeplay.play.imperative import door
from kubeplay.play.imperative.draft import Machine
from kubeplay.play.imperative.pod import Made, build

PATHS = {"/srv": "Directory", "/etc/hosts": "File", "/run/x.sock": "Socket", "/dev/fuse": "CharDevice", "/dev/sda": "BlockDevice"}
FILES = {"vars": ["# comment", "", "A=file", "B=two words ", "HOME"], "labels": ["one=1"]}
SECRETS = {"one": ("password",), "own": ("other", "own"), "many": ("a", "b")}
ENVIRON = {"HOME": "/home/me", "XA": "1", "XB": "2"}


def machine(claims: frozenset[str] = frozenset(), paths: Mapping[str, str] = PATHS) -> Machine:
    free = count(20000)
    kind, port = lambda path: paths.get(path, ""), lambda address, protocol: next(free)
    return Machine(kind, port, FILES.__getitem__, _absolute, ENVIRON, claims, lambda name: SECRETS.get(name, ()))


def _absolute(path: str) -> str:
    return path if path.startswith("/") else "/srv" if path == "./here" else f"/home/me/{path.lstrip('~/.')}"


def built(*argv: str, name: str = "web", image: str = "localhost/bb:1", **given: Any) -> Made:
    """What the flags `given` make."""
    return build(name, "default", image, argv, given, machine())


def container(*argv: str, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = built(*argv, **given).pod["spec"]["containers"][0]
    return found


def through(made: Made, options: CompileOptions = CompileOptions()) -> Stack:  # noqa: B008
    """Through the door that files come through."""
    return door.compiled(made.objects, "default", Known(), options)[0]
