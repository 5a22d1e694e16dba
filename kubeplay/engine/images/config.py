"""What an image's configuration says about running it (OCI image-spec config.md).

Images are hostile: an `Env` entry without `=` must not import the host's variable (CVE-2026-57231), a huge
numeric USER must not wrap around to root (CVE-2024-40635), WORKDIR and VOLUME must not climb out of the root
file system (CVE-2022-23648, CVE-2026-55686). Harmless oddities are mended, wrong types are refused.
"""

from __future__ import annotations

import json
from typing import Any

from kubeplay.engine.host.paths import hex_digest
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

MAX_CONFIG = 4 << 20  # bytes; containers/image reads no manifest or config beyond 4 MiB
_MAX_ID = 2147483647  # kubernetes-semantics SC: runAsUser is an int32 without its sign


class ImageConfig(Record):
    """`entrypoint` and `cmd` are None when the image has none; `env` are NAME=VALUE; `working_dir` "" or absolute."""

    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


class Document(Record):
    """A configuration blob, checked: its text, what it says, and the layers it stands for (base first)."""

    text: str
    config: ImageConfig
    diff_ids: tuple[str, ...]
    created: float
    architecture: str
    os: str


def read(data: bytes, where: str) -> Document:
    """Check a configuration blob. Raises InvalidInput naming `where`."""
    value = _object(decode(data, where), where)
    rootfs = _object(value.get("rootfs"), f"{where}: rootfs")
    diff_ids = _strings(rootfs.get("diff_ids"), f"{where}: rootfs.diff_ids") or ()
    for diff_id in diff_ids:
        hex_digest(diff_id)
    created = _string(value.get("created"), f"{where}: created")
    config = parse(data.decode(), where)
    architecture, system = _string(value.get("architecture"), where), _string(value.get("os"), where)
    return Document(data.decode(), config, diff_ids, seconds(created), architecture, system)


def parse(text: str, where: str = "image configuration") -> ImageConfig:
    """The `config` part of a configuration blob."""
    value = _object(_object(decode(text.encode(), where), where).get("config"), f"{where}: config")
    named = f"{where}: config."
    labels = _object(value.get("Labels"), named + "Labels")
    user = _string(value.get("User"), named + "User")
    _check_user(user, named)
    working_dir = _string(value.get("WorkingDir"), named + "WorkingDir")
    return ImageConfig(
        env=tuple(filter(_is_assignment, _strings(value.get("Env"), named + "Env") or ())),
        entrypoint=_strings(value.get("Entrypoint"), named + "Entrypoint") or None,
        cmd=_strings(value.get("Cmd"), named + "Cmd") or None,
        user=user,
        working_dir=absolute(working_dir) if working_dir else "",
        stop_signal=_string(value.get("StopSignal"), named + "StopSignal"),
        volumes=tuple(sorted({absolute(path) for path in _keys(value.get("Volumes"), named + "Volumes")} - {"/"})),
        exposed_ports=tuple(sorted(filter(is_port, _keys(value.get("ExposedPorts"), named + "ExposedPorts")))),
        labels=tuple(sorted((key, _string(text, named + "Labels")) for key, text in labels.items())),
    )


def decode(data: bytes, where: str) -> Any:
    """JSON of bounded size and depth."""
    if len(data) > MAX_CONFIG:
        raise InvalidInput(f"{where} has {len(data)} bytes (the limit is {MAX_CONFIG})")
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not JSON: {str(error)[:200]}") from None


def absolute(path: str) -> str:
    """`path` as seen from the root of the container: `..` cannot climb above it."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def seconds(created: str) -> float:
    """An RFC 3339 time as epoch seconds; 0 for none or nonsense (reproducible builds use the epoch anyway)."""
    import calendar

    try:
        date, _, clock = created[:19].partition("T")
        year, month, day = map(int, date.split("-"))
        hour, minute, second = map(int, clock.split(":"))
        base = calendar.timegm((year, month, day, hour, minute, second))
        rest = created[19:].lstrip(".0123456789")
        if rest[:1] in ("+", "-"):
            base -= (1 if rest[0] == "+" else -1) * (int(rest[1:3]) * 3600 + int(rest[4:6]) * 60)
        return float(base)
    except (ValueError, IndexError, OverflowError):
        return 0.0


def _check_user(user: str, where: str) -> None:
    for part in user.split(":", 1):
        digits = part.strip()
        if digits.lstrip("+-").isdigit() and not (digits.isascii() and digits.isdigit() and len(digits) <= 10 and int(digits) <= _MAX_ID):
            raise InvalidInput(f"{where}User: {user[:100]!r} is out of range 0..{_MAX_ID}")
    if "\0" in user or "\n" in user:
        raise InvalidInput(f"{where}User: {user[:100]!r} is not a user")


def _is_assignment(entry: str) -> bool:
    return entry.find("=") > 0 and "\0" not in entry


def is_port(text: str) -> bool:
    """PORT[-PORT][/PROTOCOL]."""
    number, _, protocol = text.partition("/")
    low, dash, high = number.partition("-")
    ends = (low, high) if dash else (low,)
    return protocol in ("", "tcp", "udp", "sctp") and all(p.isascii() and p.isdigit() and len(p) < 6 and 0 < int(p) < 65536 for p in ends)


def _object(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} must be an object")
    return value


def _keys(value: Any, where: str) -> list[str]:
    return [key for key in _object(value, where) if "\0" not in key]


def _string(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise InvalidInput(f"{where} must be a string")
    return value


def _strings(value: Any, where: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput(f"{where} must be a list of strings")
    return tuple(value)
