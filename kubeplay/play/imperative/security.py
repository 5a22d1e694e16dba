"""--user, --cap-add, --cap-drop, --privileged, --security-opt, --group-add, --sysctl as securityContext."""

from __future__ import annotations

import os

from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.play.compile.numbers import is_number
from kubeplay.play.imperative import words
from kubeplay.play.imperative.draft import Draft, Given, Machine

_SELINUX = ("user", "role", "type", "level")


def fill(draft: Draft, given: Given) -> None:
    """Raises InvalidInput, NotSupported."""
    if given.get("user"):
        _user(draft, given["user"])
    for flag, field in (("cap_add", "add"), ("cap_drop", "drop")):
        names = [name.upper().removeprefix("CAP_") for name in words.listed(given.get(flag, ()))]
        if names:
            draft.security.setdefault("capabilities", {})[field] = names
    if given.get("privileged"):
        draft.security["privileged"] = True
    groups = words.listed(given.get("group_add", ()))
    if any(not is_number(group) for group in groups):
        raise NotSupported(f"--group-add {','.join(groups)}: a Pod's groups are numbers")
    if groups:
        draft.pod_security["supplementalGroups"] = [int(group) for group in groups]
    for text in given.get("security_opt", ()):
        _option(draft, text)
    sysctls = [words.pair("--sysctl", text) for text in words.listed(given.get("sysctl", ()))]
    if sysctls:
        draft.pod_security["sysctls"] = [{"name": name, "value": value} for name, value in sysctls]


def is_number_user(text: str) -> bool:
    """Whether --user needs nobody to look it up: UID or UID:GID."""
    user, colon, group = text.partition(":")
    return is_number(user) and (not colon or is_number(group))


def _user(draft: Draft, text: str) -> None:
    """Numbers only: names are the image's, and looked up there before."""
    user, colon, group = text.partition(":")
    if not is_number_user(text):
        raise InvalidInput(f"--user {text!r} is not UID[:GID]")
    draft.security["runAsUser"] = int(user)
    if colon:
        draft.security["runAsGroup"] = int(group)


def _option(draft: Draft, text: str) -> None:
    """One --security-opt, with podman's `=` or docker's older `:`."""
    key, _, value = text.partition("=") if "=" in text else text.partition(":")
    if key == "no-new-privileges" and value in ("", "true"):
        draft.security["allowPrivilegeEscalation"] = False
    elif key == "no-new-privileges" and value == "false":
        draft.security["allowPrivilegeEscalation"] = True
    elif key == "seccomp" and value:
        draft.security["seccompProfile"] = _profile(value, path=True)
    elif key == "apparmor" and value:
        draft.security["appArmorProfile"] = _profile(value, path=False)
    elif key == "label" and value.partition(":")[0] in _SELINUX:
        part, _, word = value.partition(":")
        draft.security.setdefault("seLinuxOptions", {})[part] = word
    elif key == "label" and value == "disable":
        draft.security.setdefault("seLinuxOptions", {})["type"] = "spc_t"  # as podman's generate has it
    elif (key, value.upper()) in (("unmask", "ALL"), ("systempaths", "UNCONFINED")):
        draft.security["procMount"] = "Unmasked"
    else:
        hint = "known: no-new-privileges, seccomp=, apparmor=, label=, unmask=ALL"
        raise NotSupported(f"--security-opt {text!r} is not supported", hint=hint)


def _profile(value: str, *, path: bool) -> dict[str, str]:
    if value == "unconfined":
        return {"type": "Unconfined"}
    if value in ("runtime/default", "default"):
        return {"type": "RuntimeDefault"}
    return {"type": "Localhost", "localhostProfile": os.path.basename(value) if path else value}


def seccomp_root(given: Given, machine: Machine) -> str:
    """The directory that a --security-opt seccomp=FILE is in: a Pod names its profile within the profile root."""
    for text in given.get("security_opt", ()):
        key, _, value = text.partition("=") if "=" in text else text.partition(":")
        if key == "seccomp" and "/" in value and value != "runtime/default":
            return os.path.dirname(machine.absolute(value))
    return ""
