"""--health-*: podman's health check as probes.

An unhealthy container that podman only marks (--health-on-failure none) is not ready; one that it restarts, kills or stops has
failed its liveness probe.
"""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.play.imperative import words
from kubeplay.play.imperative.draft import Draft, Given

ACTIONS = ("none", "kill", "restart", "stop")
_SECONDS = 30  # podman's default for interval and timeout
_RETRIES = 3


def fill(draft: Draft, given: Given) -> None:
    """Raises InvalidInput, NotSupported."""
    text, startup = given.get("health_cmd"), given.get("health_startup_cmd")
    if given.get("no_healthcheck") and (text or startup):
        raise InvalidInput("cannot specify both --no-healthcheck and --health-cmd")
    if not text or text == "none":
        if startup:
            raise InvalidInput("--health-startup-cmd needs --health-cmd")
        return
    action = given.get("health_on_failure") or "none"
    if action not in ACTIONS:
        raise InvalidInput(f"--health-on-failure {action!r} is not known", hint=", ".join(ACTIONS))
    probe = _probe("--health", "health", text, given)
    start = words.seconds("--health-start-period", given.get("health_start_period") or "0s")
    if start:
        probe["initialDelaySeconds"] = start
    draft.container["readinessProbe" if action == "none" else "livenessProbe"] = probe
    if startup:
        draft.container["startupProbe"] = _probe("--health-startup", "health_startup", startup, given)


def _probe(flag: str, dest: str, text: str, given: Given) -> dict[str, Any]:
    interval = given.get(f"{dest}_interval") or f"{_SECONDS}s"
    if interval == "disable":
        raise NotSupported(f"{flag}-interval disable: a probe is asked at an interval", hint="leave the health check out")
    timeout = words.seconds(f"{flag}-timeout", given.get(f"{dest}_timeout") or f"{_SECONDS}s")
    retries = given.get(f"{dest}_retries")
    return {
        "exec": {"command": _command(f"{flag}-cmd", text)},
        "periodSeconds": max(1, words.seconds(f"{flag}-interval", interval)),
        "timeoutSeconds": max(1, timeout),
        "failureThreshold": max(1, _RETRIES if retries is None else retries),
    }


def _command(flag: str, text: str) -> list[str]:
    """A shell's line, or JSON: ["CMD", ...], ["CMD-SHELL", LINE], or the words alone."""
    found = words.command(flag, text)
    if not text.lstrip().startswith("["):
        return ["/bin/sh", "-c", text]
    if found[:1] == ["CMD-SHELL"]:
        return ["/bin/sh", "-c", " ".join(found[1:])]
    found = found[1:] if found[:1] == ["CMD"] else found
    if not found:
        raise InvalidInput(f"{flag} {text!r} names no command")
    return found
