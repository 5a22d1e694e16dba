"""Go template actions as jinja2: conditions, loops, variables, pipelines and functions.

jinja2 only carries the control flow; `dot0`, `dot1`, ... are the values of `.` inside `range` and `with`, `v.NAME` the variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kubeplay.cli import gofunctions
from kubeplay.errors import InvalidInput
from kubeplay.record import Record

# one token of an action: string, raw string, number, field path, variable, word, punctuation
TOKEN = re.compile(
    r"""\s*(?:("(?:\\.|[^"\\])*")|`([^`]*)`|(-?\d+(?:\.\d+)?)|((?:\$\w*)?(?:\.\w+)+|\$\w*|\.)"""
    r"""|(\w+)|(:=|[()|,=])|'(\\.|[^'])')"""
)
UNSUPPORTED = ("define", "template", "block", "html", "js", "urlquery", "call")


class _Frame(Record):
    """An open action: its word, what closes it, and the depth of `.` outside."""

    word: str
    closing: str
    depth: int


def compile(template: str) -> Callable[[Any], str]:
    """A function that renders a value through `template`. Raises InvalidInput."""
    from jinja2 import TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    source = _Translator(template).translate()
    environment = SandboxedEnvironment(
        block_start_string="\x01%", block_end_string="%\x01", variable_start_string="\x01<", variable_end_string=">\x01",
        comment_start_string="\x01#", comment_end_string="#\x01", keep_trailing_newline=True, extensions=["jinja2.ext.loopcontrols"],
    )  # fmt: skip
    environment.globals.clear()
    environment.globals.update({f"f_{name}": body for name, body in gofunctions.ALL.items()})
    environment.globals["namespace"] = _Variables
    try:
        made = environment.from_string(source)
    except TemplateError as error:
        raise InvalidInput(f"template {template!r}: {error}") from error

    def render(value: Any) -> str:
        try:
            return made.render(dot0=value)
        except (TemplateError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise InvalidInput(f"template {template!r}: {error}") from error

    return render


def _Variables() -> Any:
    from jinja2.utils import Namespace

    return Namespace()


class _Translator:
    """One template on its way to jinja2."""

    def __init__(self, template: str) -> None:
        self.template = template
        self.frames: list[_Frame] = []
        self.depth = 0

    def translate(self) -> str:
        out = ["\x01% set v = namespace() %\x01"]
        rest = self.template.replace("\x01", "")
        trim = False
        while rest:
            literal, opened, rest = rest.partition("{{")
            if trim:
                literal = literal.lstrip()
            if opened and rest.startswith("- "):
                literal, rest = literal.rstrip(), rest[2:]
            out.append(literal)
            if not opened:
                break
            body, rest = self._action(rest)
            trim = body.endswith(" -")
            out.append(self._translate(body[:-2] if trim else body))
        if self.frames:
            raise self._wrong(f"{{{{{self.frames[-1].word}}}}} has no {{{{end}}}}")
        return "".join(out)

    def _action(self, text: str) -> tuple[str, str]:
        """The action's body and what follows its `}}`, which may also stand inside a string."""
        quote = ""
        for position, letter in enumerate(text):
            if quote:
                quote = "" if letter == quote and (quote == "`" or text[position - 1] != "\\") else quote
            elif letter in '"`':
                quote = letter
            elif text.startswith("}}", position):
                return text[:position], text[position + 2 :]
        raise self._wrong("an action is not closed with }}")

    def _translate(self, body: str) -> str:
        body = body.strip()
        if body.startswith("/*"):
            return ""
        word = body.split(None, 1)[0] if body else ""
        if word in UNSUPPORTED:
            raise self._wrong(f"{word} is not supported")
        if word in ("if", "range", "with"):
            return self._open(word, body[len(word) :])
        if word == "else":
            return self._else(body[4:].strip())
        if word == "end":
            return self._end()
        if word in ("break", "continue"):
            return f"\x01% {word} %\x01"
        return self._output(body)

    def _output(self, body: str) -> str:
        names, expression = self._assigned(body)
        if names:
            return f"\x01% set v.{names[0]} = {self._pipeline(expression)} %\x01"
        return f"\x01< f__show({self._pipeline(expression)}) >\x01"

    def _assigned(self, body: str) -> tuple[list[str], str]:
        """Variables before `:=` or `=`, and the expression."""
        found = re.match(r"\s*(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:?=(.*)$", body, re.DOTALL)
        if not found:
            return [], body
        return [name[1:] for name in found.groups()[:2] if name], found.group(3)

    def _open(self, word: str, body: str) -> str:
        names, expression = self._assigned(body)
        value = self._pipeline(expression)
        outer = self.depth
        if word == "if":
            self.frames.append(_Frame(word, "\x01% endif %\x01", outer))
            return f"\x01% if {value} %\x01"
        self.depth += 1
        dot = f"dot{self.depth}"
        if word == "with":
            self.frames.append(_Frame(word, "\x01% endif %\x01\x01% endwith %\x01", outer))
            variable = f"\x01% set v.{names[0]} = {dot} %\x01" if names else ""
            return f"\x01% with {dot} = {value} %\x01{variable}\x01% if {dot} %\x01"
        self.frames.append(_Frame(word, "\x01% endfor %\x01", outer))
        setting = "".join(f"\x01% set v.{name} = {part} %\x01" for name, part in zip(names, ("key_", dot) if len(names) == 2 else (dot,)))
        return f"\x01% for key_, {dot} in f__pairs({value}) %\x01{setting}"

    def _else(self, body: str) -> str:
        if not self.frames:
            raise self._wrong("{{else}} without {{if}}")
        frame = self.frames[-1]
        self.depth = frame.depth
        if not body:
            return "\x01% else %\x01"
        if not body.startswith("if ") or frame.word != "if":
            raise self._wrong(f"{{{{else {body}}}}} is not supported")
        return f"\x01% elif {self._pipeline(body[3:])} %\x01"

    def _end(self) -> str:
        if not self.frames:
            raise self._wrong("{{end}} without an open action")
        frame = self.frames.pop()
        self.depth = frame.depth
        return frame.closing

    # expressions
    def _pipeline(self, text: str) -> str:
        tokens = self._tokens(text)
        value, rest = self._pipe(tokens)
        if rest:
            raise self._wrong(f"{rest[0][1]!r} is unexpected")
        return value

    def _pipe(self, tokens: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
        value, tokens = self._call(tokens, None)
        while tokens and tokens[0] == ("mark", "|"):
            value, tokens = self._call(tokens[1:], value)
        return value, tokens

    def _call(self, tokens: list[tuple[str, str]], piped: str | None) -> tuple[str, list[tuple[str, str]]]:
        if not tokens:
            raise self._wrong("a value is missing")
        kind, first = tokens[0]
        function = kind == "word" and first not in ("true", "false", "nil")
        if function and first not in gofunctions.ALL or first.startswith("_"):
            raise self._wrong(f"function {first!r} is not supported")
        tokens = tokens[1:] if function else tokens
        operands: list[str] = []
        while tokens and tokens[0] not in (("mark", "|"), ("mark", ")")):
            operand, tokens = self._operand(tokens)
            operands.append(operand)
        if not function:
            if len(operands) != 1 or piped is not None:
                raise self._wrong("a value cannot be called")
            return operands[0], tokens
        return f"f_{first}({', '.join(operands + ([piped] if piped is not None else []))})", tokens

    def _operand(self, tokens: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
        kind, text = tokens[0]
        if (kind, text) == ("mark", "("):
            value, rest = self._pipe(tokens[1:])
            if not rest or rest[0] != ("mark", ")"):
                raise self._wrong("a ) is missing")
            rest = rest[1:]
            if rest and rest[0][0] == "path" and rest[0][1] != "." and rest[0][1].startswith("."):
                return self._fields(f"({value})", rest[0][1], strict=False), rest[1:]
            return f"({value})", rest
        if kind == "mark":
            raise self._wrong(f"{text!r} is unexpected")
        if kind == "word":
            return {"true": "true", "false": "false", "nil": "none"}.get(text) or f"f_{self._known(text)}()", tokens[1:]
        if kind == "path":
            return self._path(text), tokens[1:]
        return text, tokens[1:]

    def _known(self, name: str) -> str:
        if name.startswith("_") or name not in gofunctions.ALL:
            raise self._wrong(f"function {name!r} is not supported")
        return name

    def _path(self, text: str) -> str:
        if text.startswith("$"):
            name, dot, rest = text[1:].partition(".")
            return self._fields(f"v.{name}" if name else "dot0", f".{rest}" if dot else "", strict=not name)
        return self._fields(f"dot{self.depth}", text, strict=self.depth == 0)

    def _fields(self, value: str, path: str, *, strict: bool) -> str:
        for name in [part for part in path.split(".") if part]:
            value = f'f__field({value}, "{name}"{", true" if strict else ""})'
            strict = False
        return value

    def _tokens(self, text: str) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        position = 0
        text = text.strip()
        while position < len(text):
            found = TOKEN.match(text, position)
            if not found:
                raise self._wrong(f"cannot read {text[position:]!r}")
            string, raw, number, path, word, mark, char = found.groups()
            position = found.end()
            if string is not None or raw is not None:
                tokens.append(("value", _literal(raw if raw is not None else _unquoted(string))))
            elif char is not None:
                tokens.append(("value", str(ord(char[-1]))))
            elif number is not None:
                tokens.append(("value", number))
            else:
                kind, token = next((k, t) for k, t in (("path", path), ("word", word), ("mark", mark)) if t is not None)
                tokens.append((kind, token))
        return tokens

    def _wrong(self, why: str) -> InvalidInput:
        return InvalidInput(f"template {self.template!r}: {why}")


def _unquoted(text: str) -> str:
    import json

    try:
        found: str = json.loads(text)
    except ValueError:
        return text[1:-1].encode().decode("unicode_escape")
    return found


def _literal(text: str) -> str:
    """A jinja2 string literal: everything but letters and digits escaped."""
    return '"' + "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in text) + '"'
