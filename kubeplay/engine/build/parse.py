"""A Containerfile's text to Instructions. Syntax and what can be judged without knowing variables; all faults of the file at once."""

from __future__ import annotations

import re

from kubeplay.engine.build import lexer
from kubeplay.engine.build.model import Instruction
from kubeplay.engine.build.report import Report, Wrong, near
from kubeplay.engine.build.syntax import FORMS, check_flags
from kubeplay.engine.build.words import flags, json_list
from kubeplay.errors import InvalidInput

DIRECTIVE = "#"  # the name of the pseudo-instruction that a `# syntax=` line becomes; plan warns of foreign frontends
_HINT = "does a line before lack its \\ at the end, or is a heredoc written `<< NAME` instead of `<<NAME`?"
_NOT_IN_ONBUILD = ("FROM", "ONBUILD", "MAINTAINER")


def parse(data: str | bytes, file: str = "Containerfile") -> tuple[Instruction, ...]:
    """The instructions of one file. Raises InvalidInput with every fault. Several files: the tuples, one after the other."""
    text = lexer.decode(data, file)
    lexed = lexer.lex(text)
    report = Report(file)
    found = []
    rows = text.split("\n")
    for number, message in lexed.problems:
        report.add(Instruction(DIRECTIVE, file=file, line=number, raw=rows[number - 1]), message)
    for name, value, number in lexed.directives:
        if name == "syntax":
            found.append(Instruction(DIRECTIVE, value, file=file, line=number, raw=rows[number - 1]))
    for line in lexed.lines:
        instruction = _instruction(line, lexed.escape, file, report)
        if instruction:
            found.append(instruction)
    if not lexed.lines and not report.faults:
        raise InvalidInput(f"{file} has no instructions", hint="the first one is FROM, as in: FROM alpine")
    report.done()
    return tuple(found)


def parse_trigger(text: str, image: str) -> Instruction:
    """An ONBUILD instruction kept in an image. Raises InvalidInput naming the image."""
    file = f"ONBUILD of {image}"
    found = parse(text, file)
    instructions = [one for one in found if one.name != DIRECTIVE]
    if len(instructions) != 1 or instructions[0].name in _NOT_IN_ONBUILD:
        raise InvalidInput(f"{file}: {text[:100]!r} is not one instruction that a trigger may be")
    return instructions[0]


def _instruction(line: lexer.Line, escape: str, file: str, report: Report) -> Instruction | None:
    word, _, rest = re.split(r"(\s+|$)", line.text, maxsplit=1)
    base = Instruction(word.upper(), file=file, line=line.number, raw=line.raw, heredocs=line.heredocs, escape=escape)
    if base.name not in FORMS:
        report.add(base._replace(name=word[:30]), "unknown instruction", near(base.name, tuple(FORMS)) or _HINT)
        return None
    if line.problem:
        report.add(base, line.problem)
        return None
    with report.of(base):
        made = _parts(base, rest)
        check(made)
        return made
    return None


def _parts(base: Instruction, rest: str) -> Instruction:
    """Flags, JSON form, ONBUILD's inner instruction. Raises Wrong."""
    form = FORMS[base.name]
    found, text = flags(rest, base.escape) if form.values or rest.startswith("--") else ([], rest)
    made = base._replace(text=text.strip(), flags=check_flags(base.name, found))
    if not made.text and not form.empty:
        raise Wrong("has no arguments")
    if form.json:
        made = made._replace(json=json_list(made.text))
    if base.name == "ONBUILD":
        made = made._replace(inner=_inner(made))
    return made


def _inner(outer: Instruction) -> Instruction:
    word, _, rest = re.split(r"(\s+|$)", outer.text, maxsplit=1)
    name = word.upper()
    if name not in FORMS:
        raise Wrong(f"unknown instruction {word[:30]!r}", near(name, tuple(FORMS)))
    if name in _NOT_IN_ONBUILD:
        raise Wrong(f"{name} cannot be a trigger")
    inner = _parts(outer._replace(name=name, text="", flags=()), rest)
    check(inner)
    return inner


def check(instruction: Instruction) -> None:
    """What is wrong whatever the variables are. Raises Wrong."""
    from kubeplay.engine.build.actions import action
    from kubeplay.engine.build.scope import UNKNOWN, has_variables

    if instruction.name in ("FROM", "ONBUILD", DIRECTIVE):
        return  # FROM is plan's; the inner one has been checked
    action(instruction, UNKNOWN._replace(strict=not has_variables(instruction)))
