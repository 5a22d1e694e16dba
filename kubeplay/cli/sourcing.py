"""Where manifests come from: files, a directory of kustomizations (-k), or templates that are filled in (--template).

Every command that takes manifests takes SOURCES beside FILES and reads them by `texts`; `words` are the names of what it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubeplay.cli.declare import Option, argument, flag, many, text
from kubeplay.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubeplay.kustomize.build import Built
    from kubeplay.kustomize.template import Rendering
    from kubeplay.play.sources import Source

FILES = argument("FILE", "Files, directories, URLs, or - for standard input.", dest="files", many=True, required=False, complete="file")
KUSTOMIZE = text("-k", "--kustomize", help="Build the kustomization in this directory, instead of FILE.", metavar="DIR", complete="file")
SOURCES: tuple[Option, ...] = (
    KUSTOMIZE,
    flag("--template", help="The files are jinja2 templates: fill them in first."),
    many("--values", help="With --template: a YAML file of values; later ones win, mappings are merged.", metavar="FILE", complete="file"),
    many("--set", help="With --template: values such as image.tag=1.2,hosts[0]=a; they win over files.", metavar="KEY=VALUE"),
    many("--set-string", help="With --template: as --set, and the values are texts.", metavar="KEY=VALUE"),
)
# None of these is in what is compiled: the texts are.
NOT_COMPILED = frozenset(("kustomize", "template", "values", "set", "set_string"))


def texts(files: Sequence[str], given: dict[str, Any]) -> list[Source]:
    """The manifests of what a command was given, by name. Raises InvalidInput, NotFound, NotSupported with what is wrong with them."""
    _check(files, given)
    if given.get("kustomize"):
        return [_built(given["kustomize"])]
    from kubeplay.play.sources import load

    found = load(files, None)
    return [_rendered(source, given) for source in found] if given.get("template") else found


def words(files: Sequence[str], given: dict[str, Any]) -> tuple[str, ...]:
    """What the manifests are called by whoever gave them: files, or the directory of -k."""
    return (given["kustomize"],) if given.get("kustomize") else tuple(files)


def _check(files: Sequence[str], given: dict[str, Any]) -> None:
    for name in ("values", "set", "set_string"):
        if given.get(name) and not given.get("template"):
            raise InvalidInput(f"--{name.replace('_', '-')} goes with --template only", hint="without it files are read as they are")
    if given.get("kustomize") and (files or given.get("template")):
        raise InvalidInput("-k excludes FILE and --template", hint="name a file under `resources:` of the kustomization")
    if not files and not given.get("kustomize"):
        raise InvalidInput("nothing to read: give FILE, or -k DIR")


def _built(directory: str) -> Source:
    from kubeplay.cli import failure
    from kubeplay.kustomize.build import build

    built = build(directory)
    name = f"{directory} (kustomize)"
    failure.places[name] = lambda line: _object(built, line)
    return name, built.text().encode()


def _object(built: Built, line: int) -> str:
    """The file or generator that the object at a line of a build comes from."""
    found = [one.origin for start, one in zip(built.lines(), built.objects) if start <= line]
    return f"from {found[-1]}" if found else ""


def _rendered(source: Source, given: dict[str, Any]) -> Source:
    from kubeplay.cli import failure
    from kubeplay.kustomize import template

    name, data = source
    rendering = template.render(data, name, template.values(given["values"], given["set"], given["set_string"]))
    shown = f"{name} (rendered)"
    failure.places[shown] = lambda line: _line(rendering, line)
    return shown, rendering.text.encode()


def _line(rendering: Rendering, line: int) -> str:
    found = rendering.line(line)
    return f"line {found} of the template" if found else ""
