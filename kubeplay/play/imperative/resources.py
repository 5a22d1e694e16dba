"""--memory, --cpus and their kin as requests and limits; what a Pod has no field for as the annotations that podman writes."""

from __future__ import annotations

from typing import Any

from kubeplay.errors import InvalidInput, NotSupported
from kubeplay.play.compile import marks
from kubeplay.play.imperative import words
from kubeplay.play.imperative.draft import Draft, Given

_SHARES = 1024  # of one CPU


def fill(draft: Draft, given: Given) -> None:
    """Raises InvalidInput, NotSupported."""
    made = unreserved(of(given))
    if made:
        draft.container["resources"] = made
    for dest, key in (("cpuset_cpus", marks.CPUSET), ("cpuset_mems", marks.MEMS)):
        if given.get(dest):
            draft.annotations[key + draft.name] = given[dest]
    pids = given.get("pids_limit")
    if pids is not None and pids > 0:  # 0 and -1 are podman's words for no limit
        draft.annotations[marks.PIDS + draft.name] = str(pids)


def of(given: Given) -> dict[str, Any]:
    """`resources` of a container, or of a whole pod."""
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    if given.get("memory"):
        limits["memory"] = words.size("--memory", given["memory"])
    if given.get("memory_reservation"):
        requests["memory"] = words.size("--memory-reservation", given["memory_reservation"])
    if given.get("cpus"):
        limits["cpu"] = words.cpus("--cpus", given["cpus"])
    if given.get("cpu_shares"):
        if given["cpu_shares"] < 2:
            raise InvalidInput("--cpu-shares: the kernel takes 2 and more")
        requests["cpu"] = f"{max(1, given['cpu_shares'] * 1000 // _SHARES)}m"
    _check_swap(given, limits)
    return {name: value for name, value in (("limits", limits), ("requests", requests)) if value}


def unreserved(made: dict[str, Any]) -> dict[str, Any]:
    """A limit at a command line reserves nothing, as with podman; in a Pod a limit alone would (RS1), and the machine were soon full."""
    limits = made.get("limits", {})
    requests = {**dict.fromkeys(limits, "0"), **made.get("requests", {})}
    return {**made, "requests": requests} if requests else made


def _check_swap(given: Given, limits: dict[str, str]) -> None:
    text = given.get("memory_swap")
    if not text:
        return
    if text == "-1" or "memory" not in limits or words.size("--memory-swap", text) != limits["memory"]:
        raise NotSupported(f"--memory-swap {text}: containers of pods get no swap", hint="leave it out, or give it --memory's value")
