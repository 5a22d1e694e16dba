"""What every kind of quadlet file has in common: unknown keys, [Unit], the other sections, and how commands begin. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubeplay.errors import Fault, InvalidInput
from kubeplay.generate.quadlet import names
from kubeplay.generate.quadlet.model import Machine
from kubeplay.generate.quadlet.names import Neighbours
from kubeplay.generate.quadlet.unitfile import UnitFile, boolean, quoted, words

QUADLET = "Quadlet"
QUADLET_KEYS = ("DefaultDependencies",)
HEADER = "# Written by kubeplay's generator; change the file named by SourcePath instead."
# In [Unit], where other quadlet files may be named by their own names.
DEPENDENCIES = ("Wants", "Requires", "Requisite", "BindsTo", "PartOf", "Upholds", "Conflicts", "Before", "After")


def unknown(unit: UnitFile, section: str, known: Sequence[str], refused: Mapping[str, str]) -> list[Fault]:
    """Keys that are none of ours, and those `refused` for a reason: a misspelt one must not be dropped in silence."""
    found = []
    for one in unit.keys(section):
        if one.key in refused:
            found.append(one.fault("has no effect here", refused[one.key]))
        elif one.key not in known:
            found.append(one.fault(f"there is no such key in [{section}]", _near(one.key, known)))
    found += [one.fault(f"there is no such key in [{QUADLET}]", _near(one.key, QUADLET_KEYS))
              for one in unit.keys(QUADLET) if one.key not in QUADLET_KEYS]  # fmt: skip
    return found


def _near(key: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    close = get_close_matches(key.lower(), lower, 1)
    return f"did you mean {lower[close[0]]}?" if close else "keys: " + ", ".join(known)


def faulty(unit: UnitFile, faults: Iterable[Fault]) -> InvalidInput:
    """The error for a file, each fault once, in the order of its lines."""
    found = sorted(dict.fromkeys(faults), key=lambda fault: (fault.source, fault.line))
    return InvalidInput(f"{unit.source}: {len(found)} fault{'s' if len(found) > 1 else ''}", found)


def unit_section(
    unit: UnitFile, machine: Machine, known: Neighbours | None, description: str, needed: Iterable[str] = (), mounts: Iterable[str] = ()
) -> list[str]:
    """[Unit]: the file's own settings, the units it needs, and what must be mounted before it. Raises InvalidInput."""
    lines = [HEADER, "[Unit]"]
    if unit.last("Unit", "Description") is None:
        lines.append(f"Description={description}")
    if not machine.user and boolean(unit.last(QUADLET, "DefaultDependencies"), True):
        lines += ["Wants=network-online.target", "After=network-online.target"]
    lines += [f"{one.key}={names.translated(one, known) if one.key in DEPENDENCIES else one.value}" for one in unit.keys("Unit")]
    for other in dict.fromkeys(needed):
        lines += [f"Requires={other}", f"After={other}"]
    lines.append(f"SourcePath={literal(unit.source)}")
    paths = [literal(path) for path in (machine.root,) if path]
    return lines + [f"RequiresMountsFor={quoted(path)}" for path in dict.fromkeys([*paths, *mounts])]


def rest(unit: UnitFile, own: str) -> list[str]:
    """The other sections as they are, and the own one with X- before it, which systemd passes over."""
    lines: list[str] = []
    for section in [*(name for name in unit.sections if name not in ("Unit", "Service", own, QUADLET)), own]:
        shown = f"X-{section}" if section == own else section
        lines += ["", f"[{shown}]", *(f"{one.key}={one.value}" for one in unit.keys(section))]
    return [*lines, ""]


def program(unit: UnitFile, machine: Machine, section: str) -> str:
    """How each command begins, with GlobalArgs."""
    places = [("--root", machine.root), ("--runroot", machine.runroot)]
    own = [*machine.program, *(word for flag, path in places if path for word in (flag, path))]
    return " ".join(map(quoted, [*(literal(word, "$$") for word in own), *words(unit.all(section, "GlobalArgs"))]))


def literal(text: str, dollar: str = "$") -> str:
    """What nobody has written for systemd: its `%`, and in a command its `$`, are only themselves."""
    return text.replace("%", "%%").replace("$", dollar)
