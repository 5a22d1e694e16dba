"""Go templates (`--format '{{.Names}}'`), the habit of docker, podman and kubectl users.

Plain fields are filled in here; anything more is translated to a jinja2 template for a sandboxed environment, in which
every value is reached through our own functions, so that nothing of Python can be touched. This is the one place that knows Go's
template language (pkg.go.dev/text/template).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubeplay.errors import InvalidInput

ESCAPES = (("\\t", "\t"), ("\\n", "\n"))
NO_VALUE = "<no value>"


class Missing:
    """A field that is absent below the first level: printed as Go prints it, false in conditions."""

    def __init__(self, shown: str = NO_VALUE) -> None:
        self._shown = shown

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return self._shown


MISSING = Missing()
NIL = Missing("<nil>")


class Struct(dict[str, Any]):
    """What a Go struct is: `zero` are the values, for templates, of fields that its JSON leaves out when they are empty."""

    def __init__(self, value: Mapping[str, Any], zero: Mapping[str, Any]) -> None:
        super().__init__(value)
        self.zero = zero


def compile(template: str) -> Callable[[Any], str]:
    """A function that renders one value. Raises InvalidInput for what is not a template, or uses what we lack."""
    for written, meant in ESCAPES:
        template = template.replace(written, meant)
    simple = _simple(template)
    if simple is not None:
        return lambda value: "".join(part if path is None else show(_walk(value, path)) for part, path in simple)
    from kubeplay.cli.gojinja import compile as compile_jinja

    return compile_jinja(template)


def fields(template: str) -> list[str]:
    """The first-level fields a template names, in order: the header of a `table` template."""
    found: list[str] = []
    for action in template.split("{{")[1:]:
        body = action.split("}}", 1)[0]
        for word in body.replace("(", " ").replace(")", " ").split():
            name = word.lstrip(".").split(".", 1)[0]
            if word.startswith(".") and name and name not in found:
                found.append(name)
    return found


def _simple(template: str) -> list[tuple[str, list[str] | None]] | None:
    """Literals and field paths; None when there is more than that."""
    parts: list[tuple[str, list[str] | None]] = []
    rest = template
    while rest:
        literal, opened, rest = rest.partition("{{")
        if literal:
            parts.append((literal, None))
        if not opened:
            break
        body, closed, rest = rest.partition("}}")
        path = body.strip()
        if not closed:
            raise InvalidInput(f"template {template!r}: an action is not closed with }}}}")
        if not path.startswith(".") or not all(name.isidentifier() for name in path[1:].split(".")) and path != ".":
            return None
        parts.append(("", path[1:].split(".") if path != "." else []))
    return parts


def _walk(value: Any, path: list[str]) -> Any:
    for depth, name in enumerate(path):
        value = field(value, name, strict=depth == 0)
    return value


def field(value: Any, name: str, *, strict: bool = False) -> Any:
    """`.name` of a value: the key itself, or one that differs in case only. Raises InvalidInput when `strict` and absent."""
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        lowered = name.lower()
        for key in value:
            if isinstance(key, str) and key.lower() == lowered:
                return value[key]
        if isinstance(value, Struct) and name in value.zero:
            return value.zero[name]
        if strict:
            raise InvalidInput(f"template: there is no field .{name}", hint="fields: " + ", ".join(f".{key}" for key in value))
        return MISSING
    if value is None or isinstance(value, Missing):
        return MISSING
    raise InvalidInput(f"template: .{name} of {show(value)!r}, which has no fields")


def show(value: Any) -> str:
    """A value as Go prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{show(key)}:{show(value[key])}" for key in sorted(value, key=str)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(show(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
