"""cli/light.py: stand-ins answer like the modules they stand for, and give way to them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.cli import light

CORNER = light._json()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _same(a: object, b: object) -> bool:
    return repr(a) == repr(b)  # NaN is not equal to itself


@given(VALUES, st.booleans(), st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_json_is_written_and_read_as_by_the_library(value: Any, sort: bool, ascii_: bool, separators: tuple[str, str]) -> None:
    options: dict[str, Any] = {"sort_keys": sort, "ensure_ascii": ascii_, "separators": separators}
    text = json.dumps(value, **options)
    assert CORNER["dumps"](value, **options) == text
    assert _same(CORNER["loads"](text), json.loads(text))
    if ascii_:
        assert _same(CORNER["loads"](text.encode()), json.loads(text))


NONSENSE = ["", "{", "[1,]", "nul", chr(34) + "a", "1 2", "{} x", "\ufeff{}", b"", b"{", b"\xff\xfe{\0}\0", b"{\0}\0", b"{\xff}"]


@pytest.mark.parametrize("options", [{}, {"indent": 4}, {"indent": 2, "sort_keys": True}, {"default": str}, {"allow_nan": True}])
def test_json_takes_every_option_of_the_library(options: dict[str, Any]) -> None:
    value = {"b": [1, {"a": None}], "a": "x"}
    assert CORNER["dumps"](value, **options) == json.dumps(value, **options)


@pytest.mark.parametrize("text", NONSENSE)
def test_what_is_no_json_is_refused_alike(text: str | bytes) -> None:
    answers: list[object] = []
    for loads in (json.loads, CORNER["loads"]):
        try:
            answers.append(loads(text))
        except ValueError as error:
            answers.append((type(error), str(error)))
    assert answers[0] == answers[1]


def test_what_json_cannot_say() -> None:
    with pytest.raises(TypeError, match="Object of type set is not JSON serializable"):
        CORNER["dumps"]({1})


def test_signals_are_the_numbers() -> None:
    corner = light._signal()
    for name in ("SIGTERM", "SIGKILL", "SIGRTMIN", "SIGRTMAX", "SIG_IGN", "SIG_DFL", "SIG_BLOCK"):
        assert corner[name] == getattr(signal, name)
    assert set(corner["valid_signals"]()) == {int(number) for number in signal.valid_signals()}


def test_a_pattern_is_compiled_when_used() -> None:
    pattern = light._re()["compile"](r"(A)b", re.IGNORECASE)
    found = pattern.fullmatch("aB")
    assert found is not None and found.group(1) == "a" and pattern.sub("-", "xab") == "x-"


def _run(code: str) -> str:
    start = "import sys\nfrom kubeplay.cli import light, preload\npreload.install()\nlight.install()\n"
    return subprocess.run([sys.executable, "-S", "-c", start + code], check=True, capture_output=True, text=True, env=_environment()).stdout


def _environment() -> dict[str, str]:
    import kubeplay

    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(kubeplay.__file__))}


def test_others_get_the_real_module_and_it_stays() -> None:
    code = """
import typing, json, re, sqlite3, signal
kinds = [type(module).__name__ for module in (typing, json, re, sqlite3, signal)]
from typing import Protocol, Generic, TypeVar
T = TypeVar("T")
class Both(Protocol[T]): pass
import json.decoder
print(kinds, json.loads("[1]"), json.JSONDecodeError is json.decoder.JSONDecodeError, re.compile("a").match("a") is not None)
print(sqlite3.connect(":memory:").execute("select 1").fetchone(), isinstance(signal.SIGTERM, signal.Signals))
print(isinstance(sys.modules["typing"], light.StandIn))
"""
    first, second, third = _run(code).splitlines()
    assert first == f"{['StandIn'] * 5} [1] True True"
    assert (second, third) == ("(1,) True", "False")


def test_the_listing_of_an_empty_machine_needs_none_of_them(tmp_path: Any) -> None:
    code = f"""
from kubeplay.cli.entry import run
status = run(["--root", "{tmp_path}/root", "--runroot", "{tmp_path}/run", "ps"])
heavy = ("typing", "json", "re", "signal", "sqlite3", "enum", "datetime")
print(status, [name for name in heavy if type(sys.modules.get(name)).__name__ == "module"])
"""
    assert _run(code).splitlines()[-1] == "0 []"
