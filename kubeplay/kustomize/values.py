"""The values of templates: files, `--set` in helm's form, and the filters that write them into YAML."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from kubeplay.errors import InvalidInput, NotFound
from kubeplay.kube.scalars import resolve
from kubeplay.kustomize import reading
from kubeplay.kustomize.root import MAX_FILE

# helm's bound on the index of a list in --set.
MAX_INDEX = 65536
MAX_DEPTH = 30
_PART = re.compile(r"((?:[^.\[\]\\]|\\.)+)((?:\[[0-9]{1,6}\])*)")


def merged(files: Sequence[str], pairs: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """All values, later over earlier, --set over files, --set-string over those. Raises InvalidInput, NotFound."""
    found: dict[str, Any] = {}
    for file in files:
        found = laid(found, _file(file))
    for rows, typed in ((pairs, True), (texts, False)):
        for row in rows:
            for pair in _split(row, ","):
                _set(found, pair, typed)
    return found


def laid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Mappings merged, everything else replaced; null takes a value away."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        if value is None:
            found.pop(key, None)
        else:
            found[key] = laid(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
    return found


def _file(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise InvalidInput(f"{path}: larger than {MAX_FILE >> 20} MiB")
    documents, faults = reading.scan(data, path)
    if faults or len(documents) > 1:
        raise InvalidInput(f"{path}: a file of values is one mapping", faults)
    return documents[0].value if documents else {}


def _split(text: str, mark: str) -> list[str]:
    """At marks that no backslash stands before and no braces surround."""
    parts, depth, at = [""], 0, 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            parts[-1] += text[at : at + 2]
            at += 2
            continue
        depth += (text[at] == "{") - (text[at] == "}" and depth > 0)
        if text[at] == mark and not depth:
            parts.append("")
        else:
            parts[-1] += text[at]
        at += 1
    return [part for part in parts if part]


def _set(values: dict[str, Any], pair: str, typed: bool) -> None:
    name, equals, text = pair.partition("=")
    parts = [_PART.fullmatch(part) for part in re.split(r"(?<!\\)\.", name)]
    steps = [step for part in parts if part for step in _steps(part)]
    if not equals or not all(parts):
        raise InvalidInput(f"--set {pair!r}: is not KEY=VALUE, with a key such as image.tag or hosts[0]")
    if len(steps) > MAX_DEPTH or any(isinstance(step, int) and step > MAX_INDEX for step in steps):
        raise InvalidInput(f"--set {pair!r}: more than {MAX_DEPTH} levels, or an index above {MAX_INDEX}")
    _put(values, steps, _value(text, typed), pair)


def _steps(part: re.Match[str]) -> list[str | int]:
    return [_plain(part[1]), *[int(index) for index in re.findall(r"[0-9]+", part[2])]]


def _put(holder: Any, steps: Sequence[str | int], value: Any, pair: str) -> None:
    step, rest = steps[0], steps[1:]
    if isinstance(holder, list) != isinstance(step, int):
        raise InvalidInput(f"--set {pair!r}: {step!r} stands in a {'list' if isinstance(holder, list) else 'mapping'}")
    if isinstance(holder, list):
        holder.extend([None] * (int(step) + 1 - len(holder)))
    if not rest:
        if value is None and isinstance(holder, dict):
            holder.pop(step, None)
        else:
            holder[step] = value
        return
    inner = holder[int(step)] if isinstance(holder, list) else holder.get(step)
    if not isinstance(inner, (dict, list)):
        inner = holder[step] = [] if isinstance(rest[0], int) else {}
    _put(inner, rest, value, pair)


def _value(text: str, typed: bool) -> Any:
    """true, false, null and whole numbers are what they look like, `{a,b}` is a list, all else is a text."""
    if text.startswith("{") and text.endswith("}"):
        return [_value(part, typed) for part in _split(text[1:-1], ",")]
    if typed and text in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text]
    if typed and re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text):
        return resolve(text)
    return _plain(text)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _to_yaml(value: Any) -> str:
    from kubeplay.kube import write

    if isinstance(value, dict) and value:
        return write.document(value).rstrip("\n")
    if isinstance(value, list) and value:
        return write.document({"x": value}).partition("\n")[2].rstrip("\n")
    return write.document({"x": value}).partition(": ")[2].rstrip("\n")


def _to_json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _base64(value: Any) -> str:
    from base64 import b64encode

    return b64encode(str(value).encode()).decode()


def _from_base64(value: Any) -> str:
    from base64 import b64decode

    return b64decode(str(value), validate=True).decode()


def _quoted(value: Any) -> str:
    return _to_json(value if isinstance(value, str) else _to_json(value))


FILTERS: dict[str, Callable[..., Any]] = {
    "to_yaml": _to_yaml, "toyaml": _to_yaml, "to_json": _to_json, "tojson": _to_json, "quote": _quoted, "b64encode": _base64,
    "b64decode": _from_base64,
}  # fmt: skip
