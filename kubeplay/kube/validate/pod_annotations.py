"""Annotations the server gives a meaning to, on Pods and templates."""

from __future__ import annotations

from kubeplay.kube.validate.report import Faults, Object, records

_MIRROR = "kubernetes.io/config.mirror"
_COST = "controller.kubernetes.io/pod-deletion-cost"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP = ("seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/")
_INT32 = 2**31


def check(faults: Faults, path: str, annotations: dict[str, str] | None, spec: Object) -> None:
    """All of them."""
    for key, value in (annotations or {}).items():
        at = f"{path}[{key}]"
        if key == _MIRROR:
            if not spec.get("nodeName"):
                faults.invalid(at, value, "must set spec.nodeName if mirror pod annotation is set")
        elif key == _COST:
            if not _cost(value or ""):
                faults.invalid(at, value, "must be a 32bit integer")
        elif key.startswith(_APPARMOR):
            _apparmor(faults, at, key[len(_APPARMOR) :], value or "", spec)
        elif key.startswith(_SECCOMP) and not _seccomp(value or ""):
            faults.invalid(at, value, "must be a valid seccomp profile")


def _cost(text: str) -> bool:
    """A decimal number of 32 bits, without a plus sign or a leading zero."""
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 10 or (digits[0] == "0" and text != "0"):
        return False
    return -_INT32 <= int(text) < _INT32


def _apparmor(faults: Faults, path: str, name: str, value: str, spec: Object) -> None:
    known = {item.get("name") for field in ("containers", "initContainers", "ephemeralContainers") for item in records(spec, field)}
    if name not in known:
        faults.invalid(path, name, "container not found")
    if value not in ("", "runtime/default", "unconfined") and not value.startswith("localhost/"):
        faults.invalid(path, value, f'invalid AppArmor profile name: "{value}"')


def _seccomp(value: str) -> bool:
    if value in ("unconfined", "runtime/default", "docker/default"):
        return True
    profile = value.removeprefix("localhost/")
    return profile != value and not profile.startswith("/") and ".." not in profile.split("/")
