"""Light stand-ins for modules of the standard library that a short command needs a corner of.

`typing`, `json`, `re`, `signal` and `sqlite3` (with `enum` and `datetime` behind them) are a third of what a small play imports, for
names that annotations mention, two functions written in C, patterns that are never used, and numbers. A stand-in has that corner for our
own modules; any other name, or any other module's look, brings the real module to its place. See docs/decisions/0004-preload.md.
"""

from __future__ import annotations

import _thread
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_Module: Any = type(sys)
_guard = _thread.allocate_lock()


class StandIn(_Module):  # type: ignore[misc,valid-type,unused-ignore]
    """A module whose corner our own modules see; everybody else, and whoever asks for more, gets the real module's names."""

    def __init__(self, name: str, make: Callable[[], dict[str, Any]]) -> None:
        super().__init__(name)
        self.__dict__["_make"] = make

    def __getattr__(self, name: str) -> Any:
        if sys._getframe(1).f_globals.get("__name__", "").startswith("kubeplay."):
            corner = self._found()
            if name in corner:
                return corner[name]
            if name == "__path__":  # `from MODULE import NAME` asks whether it is a package
                raise AttributeError(name)
        return getattr(_real(self.__name__), name)

    def _found(self) -> dict[str, Any]:
        """The corner, made when the first of our modules looks; empty where this Python has not what it is made of."""
        if "_corner" not in self.__dict__:
            try:
                self.__dict__["_corner"] = self.__dict__["_make"]()
            except ImportError:  # another Python: the real thing, then
                self.__dict__["_corner"] = {}
        corner: dict[str, Any] = self.__dict__["_corner"]
        return corner


def _real(name: str) -> Any:
    """The real module, put where the stand-in was: whoever imports it from now on finds it there."""
    with _guard:
        if isinstance(sys.modules.get(name), StandIn):
            del sys.modules[name]
    from importlib import import_module

    return import_module(name)


class _Again:
    """Finder and loader for `import json.decoder` over a stand-in: asking the parent for its path has loaded it already."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name not in sys.modules or not path:
            return None
        spec: Any = type(sys.__spec__)(name, self)  # type: ignore[arg-type,unused-ignore]
        spec.loader_state = sys.modules[name].__spec__
        return spec

    def create_module(self, spec: Any) -> Any:
        return sys.modules[spec.name]

    def exec_module(self, module: Any) -> None:
        module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Put stand-ins in the place of what is not imported yet."""
    sys.meta_path.insert(0, _Again())  # type: ignore[arg-type,unused-ignore]
    for name, corner in (("typing", _typing), ("json", _json), ("re", _re), ("signal", _signal), ("sqlite3", _sqlite3)):
        if name not in sys.modules:
            sys.modules[name] = StandIn(name, corner)


def _typing() -> dict[str, Any]:
    """What is said at run time of types: nothing is done with it but to be mentioned."""
    kinds = dict.fromkeys(("Any", "BinaryIO", "NoReturn", "Protocol", "Self", "TextIO"), object)
    return {**kinds, "TYPE_CHECKING": False, "TypeVar": lambda name, **bounds: object, "cast": lambda kind, value: value}


def _signal() -> dict[str, Any]:
    """The C module: plain numbers for signals, which is what everybody of ours passes on."""
    import _signal  # type: ignore[import-not-found,unused-ignore]

    return {name: value for name, value in vars(_signal).items() if not name.startswith("_")}


def _sqlite3() -> dict[str, Any]:
    """The C module without the adapters for dates, which need datetime and are of no use to us."""
    import _sqlite3

    return {name: value for name, value in vars(_sqlite3).items() if not name.startswith("_")}


class _Pattern:
    """A regular expression that is compiled when it is first used."""

    __slots__ = ("_flags", "_text")

    def __init__(self, text: str | bytes, flags: int = 0) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        return getattr(_real("re").compile(self._text, self._flags), name)  # re keeps what it compiled


def _re() -> dict[str, Any]:
    return {"compile": _Pattern}


def _json() -> dict[str, Any]:
    return {"loads": _loads(), "dumps": _dumps()}


class _Context:
    """What the C scanner wants to know: JSONDecoder's defaults."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__
    memo: dict[str, str] = {}


def _loads() -> Callable[..., Any]:
    from _json import make_scanner  # type: ignore[import-not-found,unused-ignore]

    scan = make_scanner(_Context)  # type: ignore[arg-type,unused-ignore]

    def loads(text: str | bytes, **options: Any) -> Any:
        if isinstance(text, bytes) and text[:1] in (b"{", b"[") and text[1:2] != b"\0":  # not UTF-16, which json would know
            text = text.decode("utf-8", "surrogatepass")
        if options or not isinstance(text, str):
            return _real("json").loads(text, **options)
        plain = text.strip(" \t\n\r")
        try:
            value, end = scan(plain, 0)
        except (StopIteration, ValueError, TypeError):
            end = -1
        return value if end == len(plain) else _real("json").loads(text)  # which says what is wrong with it

    return loads


def _dumps() -> Callable[..., str]:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder

    def default(value: object) -> Any:
        raise TypeError(f"Object of type {value.__class__.__name__} is not JSON serializable")

    def dumps(
        value: object, *, sort_keys: bool = False, separators: tuple[str, str] | None = None, ensure_ascii: bool = True, **options: Any
    ) -> str:
        if options:
            return str(_real("json").dumps(value, sort_keys=sort_keys, separators=separators, ensure_ascii=ensure_ascii, **options))
        quote = encode_basestring_ascii if ensure_ascii else encode_basestring
        between, after = separators or (", ", ": ")
        encode = make_encoder({}, default, quote, None, after, between, sort_keys, False, True)
        return "".join(encode(value, 0))

    return dumps
