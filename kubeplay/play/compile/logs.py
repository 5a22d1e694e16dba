"""Where a pod's output goes (--log-driver, --log-opt, or the annotations they become; CS12)."""

from __future__ import annotations

from collections.abc import Mapping

from kubeplay.errors import InvalidInput
from kubeplay.plan.pod import LogPlan
from kubeplay.play.compile import marks as known
from kubeplay.play.compile.numbers import is_number

# json-file is Docker's name, which Podman maps to its own file format too.
_DRIVERS = {"k8s-file": "k8s-file", "json-file": "k8s-file", "none": "none"}
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def plan(annotations: Mapping[str, str]) -> LogPlan:
    """The log settings of a pod with these annotations. Raises InvalidInput."""
    made = LogPlan()
    if known.LOG_DRIVER in annotations:
        made = made._replace(driver=driver(annotations[known.LOG_DRIVER]))
    if known.LOG_MAX_SIZE in annotations:
        made = made._replace(max_size=size(annotations[known.LOG_MAX_SIZE]))
    if known.LOG_MAX_FILES in annotations:
        made = made._replace(max_files=_count(annotations[known.LOG_MAX_FILES]))
    return made


def check(key: str, value: str) -> None:
    """Raises InvalidInput if `value` does not fit the log annotation `key`."""
    plan({key: value})


def driver(name: str) -> str:
    if name not in _DRIVERS:
        raise InvalidInput(f"log driver {name!r} is not supported", hint="use k8s-file or none")
    return _DRIVERS[name]


def size(text: str) -> int:
    """Bytes of `10m`, `512kb`, `100` (units as in docker and podman: powers of 1024)."""
    bare = text.strip().lower()
    bare = bare[:-1] if bare.endswith("b") and not is_number(bare[:-1]) else bare
    number, unit = (bare, "b") if is_number(bare) else (bare[:-1], bare[-1:])
    if not is_number(number) or unit not in _UNITS or int(number) == 0:
        raise InvalidInput(f"{text!r} is not a size", hint="as 10m or 512k")
    return int(number) * _UNITS[unit]


def _count(text: str) -> int:
    if not is_number(text) or not 1 <= int(text) <= 1000:  # ours: more is a mistake
        raise InvalidInput(f"{text!r} is not a number of files between 1 and 1000")
    return int(text)


def from_flags(driver_name: str, options: tuple[str, ...]) -> dict[str, str]:
    """--log-driver and --log-opt as annotations. Raises InvalidInput."""
    made = {known.LOG_DRIVER: driver(driver_name)} if driver_name else {}
    keys = {"max-size": known.LOG_MAX_SIZE, "max-file": known.LOG_MAX_FILES}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or name not in keys:
            raise InvalidInput(f"--log-opt {option}: not supported", hint="known: max-size=SIZE, max-file=NUMBER")
        check(keys[name], value)
        made[keys[name]] = value
    return made
