"""Which instructions there are, their flags, and which take a JSON form: the Dockerfile reference as a table."""

from __future__ import annotations

from collections.abc import Iterable

from kubeplay.engine.build.model import Flag
from kubeplay.engine.build.report import Wrong, near
from kubeplay.record import Record


class Form(Record):
    """`values` are flags with a value, `switches` may stand bare, `repeated` may come several times; `json`: there is an exec form."""

    values: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    json: bool = False
    empty: bool = False  # may have no arguments


FORMS = {
    "ADD": Form(("chown", "chmod", "checksum", "exclude"), ("link", "keep-git-dir", "unpack"), ("exclude",), True),
    "ARG": Form(),
    "CMD": Form(json=True, empty=True),
    "COPY": Form(("from", "chown", "chmod", "exclude"), ("link", "parents"), ("exclude",), True),
    "ENTRYPOINT": Form(json=True, empty=True),
    "ENV": Form(),
    "EXPOSE": Form(),
    "FROM": Form(("platform",)),
    "HEALTHCHECK": Form(("interval", "timeout", "start-period", "start-interval", "retries")),
    "LABEL": Form(),
    "MAINTAINER": Form(),
    "ONBUILD": Form(),
    "RUN": Form(("mount", "network", "security"), (), ("mount",), True),
    "SHELL": Form(json=True),
    "STOPSIGNAL": Form(),
    "USER": Form(),
    "VOLUME": Form(json=True),
    "WORKDIR": Form(),
}
# Flags of Dockerfile frontends that need what an engine without BuildKit does not have.
_ELSEWHERE = {("RUN", "device"): "CDI devices in builds"}


def check_flags(name: str, found: Iterable[tuple[str, str | None]]) -> tuple[Flag, ...]:
    """Raises Wrong for a flag the instruction has not, without its value, or twice."""
    form = FORMS[name]
    known = (*form.values, *form.switches)
    flags: list[Flag] = []
    for flag, value in found:
        if (name, flag) in _ELSEWHERE:
            raise Wrong(f"--{flag} is not supported: {_ELSEWHERE[name, flag]}")
        if flag not in known:
            names = tuple(f"--{one}" for one in known)
            hint = near(f"--{flag}", names) or (f"{name} knows {', '.join(names)}" if names else f"{name} has no flags")
            raise Wrong(f"unknown flag --{flag[:50]}", hint)
        if value is None and flag in form.values:
            raise Wrong(f"--{flag} needs a value", f"as in --{flag}=VALUE")
        if flag in form.switches and value not in (None, "true", "false"):
            raise Wrong(f"--{flag}={value!s:.50} is neither true nor false")
        if flag not in form.repeated and flag in (before.name for before in flags):
            raise Wrong(f"--{flag} is given twice")
        flags.append(Flag(flag, value))
    return tuple(flags)


def value(flags: Iterable[Flag], name: str) -> str:
    """The value of a flag, "" without it."""
    return next((flag.value or "" for flag in flags if flag.name == name), "")


def switch(flags: Iterable[Flag], name: str) -> bool | None:
    """A switch's position, None without it."""
    return next((flag.value != "false" for flag in flags if flag.name == name), None)
