"""Health checks, hooks and how a container is stopped.

docker marks a container that fails its check and lets it be, so the check becomes a readiness probe: traffic and those who wait
(`depends_on`) see it. A liveness probe would restart the container, which docker never does.
"""

from __future__ import annotations

from kubeplay.convert import amounts, names
from kubeplay.convert.model import Object
from kubeplay.convert.section import Section

# docker's defaults (compose spec, "healthcheck", and dockerd): interval and timeout 30 s, 3 tries.
SECONDS, TRIES = 30, 3


def fill(found: Section, container: Object, pod: Object) -> None:
    probe = probe_of(found.section("healthcheck")) if "healthcheck" in found else None
    if probe is not None:
        container["readinessProbe"] = probe
    lifecycle: Object = {}
    for key, ours in (("post_start", "postStart"), ("pre_stop", "preStop")):
        if hook := _hook(found, key):
            lifecycle[ours] = hook
    if "stop_signal" in found:
        word = found.text("stop_signal")
        if word.isdecimal():
            found.note("stop_signal", f"{word}: Kubernetes takes names, as SIGTERM")
        else:
            lifecycle["stopSignal"] = word.upper() if word.upper().startswith("SIG") else f"SIG{word.upper()}"
            pod["os"] = {"name": "linux"}  # the API server takes a stop signal only where it knows the system
    if lifecycle:
        container["lifecycle"] = lifecycle
    if "stop_grace_period" in found:
        pod["terminationGracePeriodSeconds"] = found.parsed("stop_grace_period", amounts.whole_seconds, (30, False))[0]


def probe_of(found: Section) -> Object | None:
    """The probe of a health check; None where it is switched off, or only the image's is tuned."""
    found.only("test interval timeout retries start_period start_interval disable")
    command = test(found)
    if command is None:
        return None
    made: Object = {"exec": {"command": command}}
    for key, ours in (("interval", "periodSeconds"), ("timeout", "timeoutSeconds")):
        seconds, rounded = found.parsed(key, amounts.whole_seconds, (SECONDS, False))
        made[ours] = seconds
        if rounded:
            found.note(key, f"Kubernetes counts whole seconds: {seconds}")
    tries = found.integer("retries", TRIES)
    made["failureThreshold"] = tries if tries and tries > 0 else TRIES
    found.unsaid({"start_interval": "a probe has one period: periodSeconds"})
    # start_period: a pod that is not ready yet and one that fails are the same thing to a Service
    return made


def test(found: Section) -> list[str] | None:
    """The command of a check: a text and CMD-SHELL go through a shell."""
    value = found.raw("test")
    if found.flag("disable") or value in (None, [], ["NONE"], "NONE"):
        if value is None and not found.flag("disable"):
            found.note("", "tunes a check of the image's own, which a manifest does not see: give it a `test`")
        return None
    words = found.words("test")
    if isinstance(value, str):
        words = ["CMD-SHELL", value]
    if words[0] == "CMD-SHELL":
        words = ["/bin/sh", "-c", " ".join(words[1:])]
    elif words[0] == "CMD":
        words = words[1:]
    else:
        found.fault("test", "a list begins with CMD, CMD-SHELL or NONE")
        return None
    if not words:
        found.fault("test", "there is no command")
        return None
    return [names.literal(word) for word in words]


def _hook(found: Section, key: str) -> Object:
    """The first command of a hook that has a list of them."""
    made: Object = {}
    for number, one in enumerate(found.sections(key)):
        one.only("command user privileged working_dir environment")
        words = one.command("command")
        if number:
            one.note("", "Kubernetes runs one command: put them into a script")
        elif words:
            made = {"exec": {"command": words}}
            one.unsaid(dict.fromkeys(("user", "privileged", "working_dir", "environment"), "a hook runs as its container does"))
    return made
