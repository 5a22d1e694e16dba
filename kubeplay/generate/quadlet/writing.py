"""A `.kube` file for manifests: what `generate quadlet` writes. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence

from kubeplay.errors import InvalidInput
from kubeplay.record import Record


class Wanted(Record):
    """What the file should say. `files` as they will be found from the unit's directory; "" and () = nothing."""

    files: tuple[str, ...]
    description: str = ""
    configmaps: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    userns: str = ""
    log_driver: str = ""
    exit_codes: str = ""
    force: bool = False
    restart: str = ""
    wanted_by: tuple[str, ...] = ()


def name(files: Sequence[str]) -> str:
    """The file's name: that of the first manifest. Raises InvalidInput when that names nothing."""
    stem = os.path.basename(files[0].rstrip("/")).rpartition(".")[0] or os.path.basename(files[0].rstrip("/"))
    safe = "".join(c if c.isascii() and (c.isalnum() or c in ":_.-") else "-" for c in stem).strip("-.")
    if not safe:
        raise InvalidInput(f"{files[0]}: no name for a unit follows from it", hint="--name gives one")
    return f"{safe}.kube"


def text(wanted: Wanted) -> str:
    """The file. Raises InvalidInput for what cannot stand in one."""
    kube = [("Yaml", word(path)) for path in wanted.files]
    kube += [("ConfigMap", word(path)) for path in wanted.configmaps]
    kube += [("Network", plain(one)) for one in wanted.networks]
    kube += [("PublishPort", plain(one)) for one in wanted.publish]
    kube += [("UserNS", plain(wanted.userns)), ("LogDriver", plain(wanted.log_driver)), ("ExitCodePropagation", wanted.exit_codes)]
    kube += [("KubeDownForce", "true" if wanted.force else "")]
    sections = {
        "Unit": [("Description", plain(wanted.description))],
        "Kube": kube,
        "Service": [("Restart", wanted.restart)],
        "Install": [("WantedBy", " ".join(map(plain, wanted.wanted_by)))],
    }
    shown = ["\n".join([f"[{section}]", *(f"{key}={value}" for key, value in lines if value), ""])
             for section, lines in sections.items() if any(value for _, value in lines)]  # fmt: skip
    return "\n".join(shown)


def plain(value: str) -> str:
    """A value in which `%` is only itself. Raises InvalidInput for line ends, which would begin another setting."""
    if any(not c.isprintable() for c in value) or value.endswith("\\") or value != value.strip():
        raise InvalidInput(f"{value!r} cannot stand in a unit")
    return value.replace("%", "%%")


def word(path: str) -> str:
    """A path as one word, as systemd reads it back."""
    from kubeplay.generate.quadlet.unitfile import quoted

    return quoted(plain(path.removesuffix("\\")) + ("\\" if path.endswith("\\") else ""))
