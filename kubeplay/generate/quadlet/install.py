"""`[Install]`: the links that `systemctl enable` would make, as it cannot for units of a generator. Pure."""

from __future__ import annotations

from kubeplay.generate.quadlet import names
from kubeplay.generate.quadlet.model import Link
from kubeplay.generate.quadlet.unitfile import UnitFile, refused, words

SECTION = "Install"
WANTS = (("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds"))
IGNORED = ("Also",)  # about other units, which are enabled by their own files


def links(unit: UnitFile, name: str) -> tuple[Link, ...]:
    """The links beside `name`. A template is wanted as its DefaultInstance, without one not at all. Raises InvalidInput."""
    base, instance = names.template(name)
    if instance == "":
        found = unit.last(SECTION, "DefaultInstance")
        if found is not None and not names.valid(base.replace("@", f"@{found.value}", 1)):
            raise refused(found, f"{found.value!r} cannot be an instance")
        instance = found.value if found else None
        wanted = base.replace("@", f"@{instance}", 1) if instance else ""
    else:
        wanted = name
    made = []
    for setting in unit.all(SECTION, "Alias"):
        for alias in words([setting]):
            if not names.valid(alias) or not alias.endswith(".service"):
                raise refused(setting, f"{alias!r} is no name for a service")
            if alias != name:
                made.append(Link(alias, name))
    for key, suffix in WANTS:
        for setting in unit.all(SECTION, key):
            for other in words([setting]):
                if not names.valid(other):
                    raise refused(setting, f"{other!r} is no name of a unit", "as multi-user.target, or default.target for a user's units")
                if wanted:
                    made.append(Link(f"{other}.{suffix}/{wanted}", f"../{name}"))
    return tuple(dict.fromkeys(made))
