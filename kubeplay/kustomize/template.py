"""Manifests with holes: jinja2 in a sandbox, filled from files and the command line; every fault is told by the template's line.

A template gets its values, and a few filters for YAML; it reads no files and no variables of the machine. What it may use is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from kubeplay.errors import InvalidInput
from kubeplay.kustomize import values as given
from kubeplay.record import Record

# What is rendered is read as manifests, of which a file has at most 64 MiB (kube/load).
MAX_TEXT = 64 * 1024 * 1024
# The longest text or list that one multiplication may make.
MAX_REPEATED = 1_000_000
# The longest number that one multiplication or power may make: a longer one takes the interpreter for itself, past any time limit.
MAX_BITS = 100_000
# Loops within loops are bounded in no other way. A template of a thousand objects takes well below a second.
SECONDS = 30.0
# Stands before what was written on a line of the template; in no YAML text (not printable), so in no template that is of use.
_MARK, _END = "\x01", "\x02"

# What an expression of a template can come to.
_FAULTS = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError)


class Rendering(Record):
    """What a template came to."""

    source: str
    template: str
    values: dict[str, Any]
    text: str

    def line(self, line: int) -> int:
        """The line of the template that a line of the text comes from; 0 when that cannot be told."""
        marked = _Run(self.source, self.values, marks=True).text(self.template)
        lines, now = [], 0
        for row in marked.split("\n"):
            head, *marked_parts = row.split(_MARK)
            found = [(int(number), text) for number, _, text in (part.partition(_END) for part in marked_parts)]
            starts = [number for number, text in found if text] or [number for number, _ in found[-1:]]
            lines.append(starts[0] if starts and not head else now)
            now = found[-1][0] if found else now
        plain = "\n".join(_unmarked(row) for row in marked.split("\n"))
        return lines[line - 1] if plain == self.text and 0 < line <= len(lines) else 0


def _unmarked(row: str) -> str:
    first, *rest = row.split(_MARK)
    return first + "".join(part.partition(_END)[2] for part in rest)


def values(files: Sequence[str], pairs: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
    """The values of --values, --set and --set-string, later over earlier. Raises InvalidInput, NotFound."""
    return given.merged(files, pairs, texts)


def render(data: bytes, source: str, values: dict[str, Any]) -> Rendering:
    """A template with its values filled in. Raises InvalidInput with the template's line."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise InvalidInput(f"{source}: a template must be UTF-8") from None
    if _MARK in text or _END in text:
        raise InvalidInput(f"{source}: has control characters")
    return Rendering(source, text, values, _bounded(lambda: _Run(source, values).text(text), source))


def _bounded(body: Any, source: str) -> str:
    """`body` in a thread, because nothing stops a loop from outside; a command that gives up ends with it."""
    import threading

    found: list[str] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            found.append(body())
        except BaseException as error:  # handed to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    if errors:
        raise errors[0]
    if not found:
        raise InvalidInput(f"{source}: not rendered after {SECONDS:g} s")
    return found[0]


class _Run:
    """One rendering."""

    def __init__(self, source: str, values: dict[str, Any], marks: bool = False) -> None:
        self.source, self.values = source, values
        self.environment = _environment(marks)

    def text(self, template: str) -> str:
        import jinja2

        try:
            parts, size = list[str](), 0
            for part in self.environment.from_string(template).generate({**self.values, "values": self.values}):
                size += len(part)
                if size > MAX_TEXT:
                    raise InvalidInput(f"{self.source}: comes to more than {MAX_TEXT >> 20} MiB")
                parts.append(part)
            return "".join(parts)
        except jinja2.TemplateSyntaxError as error:
            raise self._error(str(error.message or error), error.lineno) from None
        except jinja2.UndefinedError as error:
            raise self._error(str(error.message), _line(error), self._hint()) from None
        except (jinja2.TemplateError, *_FAULTS) as error:
            raise self._error(str(error) or type(error).__name__, _line(error)) from None

    def _error(self, message: str, line: int, hint: str = "") -> InvalidInput:
        where = f"{self.source}:{line}" if line else self.source
        return InvalidInput(f"{where}: {message}", hint=hint)

    def _hint(self) -> str:
        names = ", ".join(sorted(self.values)[:10])
        return f"give it by --set or --values (there are: {names})" if names else "give it by --set or --values"


def _line(error: BaseException) -> int:
    """The line of the template, from the frames that jinja2 has written into the error."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


@lru_cache(maxsize=2)
def _environment(marks: bool) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Marks(Extension):
        """A mark with its line before every stretch of the template's own text, and after each of its line ends."""

        def filter_stream(self, stream: Any) -> Any:
            from jinja2.lexer import Token

            for token in stream:
                yield Token(token.lineno, token.type, _marked(token.value, token.lineno)) if token.type == "data" else token

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset(("*", "**", "%"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            _check_size(operator, left, right)
            return super().call_binop(context, operator, left, right)

        def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
            """A method of a text or number (`ljust`, `to_bytes`), too, makes nothing huge."""
            if isinstance(getattr(__obj, "__self__", None), (str, bytes, int, float)):
                _check_amounts(*args, *kwargs.values())
            return super().call(__context, __obj, *args, **kwargs)

        def wrap_str_format(self, value: Any) -> Any:
            """Asked for every attribute: `format` is given out if its text is harmless."""
            if getattr(value, "__name__", "") in ("format", "format_map"):
                _check_braces(getattr(value, "__self__", None))
            return super().wrap_str_format(value)

    made = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
        extensions=[Marks] if marks else [],
    )  # fmt: skip
    made.filters.update({name: _measured(made.filters[name]) for name in ("batch", "center", "indent", "slice")})
    made.filters["format"] = _percents(made.filters["format"])
    made.filters.update(given.FILTERS)
    made.globals.pop("lipsum", None)
    return made


def _marked(text: str, line: int) -> str:
    rows = text.split("\n")
    return "\n".join(f"{_MARK}{line + at}{_END}{row}" for at, row in enumerate(rows))


def _check_size(operator: str, left: Any, right: Any) -> None:
    if operator == "**" and isinstance(left, (int, float)) and isinstance(right, (int, float)) and abs(right) > 64:
        raise ValueError("an exponent above 64")
    if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * abs(right) if operator == "**" else left.bit_length() + right.bit_length()
        if bits > MAX_BITS:
            raise ValueError(f"a number of more than {MAX_BITS} bits")
    if operator == "*":
        for one, times in ((left, right), (right, left)):
            if hasattr(one, "__len__") and isinstance(times, int) and len(one) * times > MAX_REPEATED:
                raise ValueError(f"a text or list of more than {MAX_REPEATED} parts")
    if operator == "%" and isinstance(left, str):
        _check_percents(left)


def _measured(filter: Any) -> Any:
    """A filter of jinja2's that makes nothing huge."""

    def run(value: Any, *args: Any, **kwargs: Any) -> Any:
        _check_amounts(*args, *kwargs.values())
        return filter(value, *args, **kwargs)

    return run


def _percents(filter: Any) -> Any:
    """The filter `format`: `%` by another name."""

    def run(value: Any, *args: Any, **kwargs: Any) -> Any:
        _check_percents(str(value))
        return filter(value, *args, **kwargs)

    return run


def _check_amounts(*given: Any) -> None:
    if any(isinstance(one, int) and abs(one) > MAX_REPEATED for one in given):
        raise ValueError(f"a text or list of more than {MAX_REPEATED} parts")


def _check_percents(text: str) -> None:
    """Refuse `%9999d`, `%(name)9999d` and `%*d`."""
    import re

    starts = "[%)]" if "%(" in text else "%"
    for found in re.finditer(rf"{starts}([#0 +.\d*-]*)[hlL]?([diouxXeEfFgGcrsa]?)", text):
        if found[2] and ("*" in found[1] or re.search(r"\d{4}", found[1])):
            raise ValueError("a format of a width above 999")


def _check_braces(text: Any) -> None:
    """Refuse `{:9999}`, and `{:{}}`, whose width is another's."""
    import re

    for found in re.finditer(r"\{([^{}]*)([{}]?)", text if isinstance(text, str) else ""):
        _, colon, spec = found[1].partition(":")
        if colon and (found[2] == "{" or re.search(r"\d{4}", spec)):
            raise ValueError("a format of a width above 999")
