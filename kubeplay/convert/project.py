"""A project: its compose files with variables filled in, merged, included and extended, as one mapping of services."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence

from kubeplay.convert import dotenv, merging, shape
from kubeplay.convert.interpolate import Text, fill
from kubeplay.convert.model import Folder, Options, Report
from kubeplay.convert.reading import Map, read
from kubeplay.convert.section import Section
from kubeplay.errors import InvalidInput, NotFound
from kubeplay.record import Record

TOP = frozenset(("name", "version", "include", "services", "networks", "volumes", "secrets", "configs", "models"))
DEEPEST = 100  # services of which each waits for the next, or extends it: far above what people write
MOST_FILES = 100  # includes and extends of one project: more is a loop or an attack
NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


class Project(Record):
    """Services and what they share, each a mapping in long forms. `environ` is what variables were filled in from."""

    name: str
    directory: str
    services: dict[str, Map]
    top: Map
    environ: dict[str, str]


def load(paths: Sequence[str], options: Options, folder: Folder, report: Report, texts: Mapping[str, bytes] = {}) -> Project:
    """The project of these files (whole paths), the later ones over the earlier. Raises InvalidInput, NotFound.

    `texts` are files that are at hand already: standard input, under the path it shall count as.
    """
    directory = os.path.dirname(paths[0])
    loader = _Loader(folder, report, texts, directory)
    environ = loader.variables(directory, folder.environ)
    top = Map()
    for path in paths:
        top = merging.whole(top, loader.file(path, directory, environ))
    top = merging.without_tags(top)
    if loader.missing:
        for name in sorted(loader.missing):
            report.note("", f"the variable {name} is not set: it is empty")
    report.check(paths[0])
    found = top.get("services") or Map()
    if not found:
        raise InvalidInput(f"{paths[0]}: no services", hint="a compose file has `services:` with at least one in it")
    name = Section(top, "", report).text("name") or environ.get("COMPOSE_PROJECT_NAME") or os.path.basename(directory)
    profiles = {*options.profiles, *filter(None, environ.get("COMPOSE_PROFILES", "").split(","))}
    return Project(name, directory, _chosen(found, profiles, report), top, environ)


def _chosen(found: Map, profiles: set[str], report: Report) -> dict[str, Map]:
    """The services that a profile lets in, in the file's order."""
    chosen = {}
    for name, service in found.items():
        own = Section(service, f"services.{name}", report, found.place(name)).words("profiles")
        if own and not profiles & {*own, "*"}:
            report.note(f"services.{name}", f"left out: it is in profile {', '.join(own)} (--profile)", found.place(name))
        else:
            chosen[name] = service
    return chosen


class _Loader:
    def __init__(self, folder: Folder, report: Report, texts: Mapping[str, bytes], directory: str) -> None:
        self.folder, self.report, self.texts, self.directory = folder, report, texts, directory
        self.missing: set[str] = set()
        self.count = 0
        self.home = folder.environ.get("HOME") or "/root"

    def variables(self, directory: str, environ: Mapping[str, str], files: Sequence[str] = ()) -> dict[str, str]:
        """The environment over the project's .env."""
        path = os.path.join(directory, ".env")
        found: dict[str, str] = {}
        for one in files or ([path] if self.folder.kind(path) == "file" else []):
            try:
                found.update(dotenv.read(self.folder.read(one), environ))
            except ValueError as error:
                raise InvalidInput(f"{one}: {error}") from None
        return {**found, **environ}

    def file(self, path: str, base: str, environ: Mapping[str, str], inside: tuple[str, ...] = ()) -> Map:
        """A file in long forms, what it includes below it."""
        self.count += 1
        if self.count > MOST_FILES:
            raise InvalidInput(f"{path}: more than {MOST_FILES} files are included or extended")
        if path in inside:
            raise InvalidInput(f"{path}: the file includes itself: {' -> '.join((*inside, path))}")
        shown = os.path.relpath(path, self.directory) if path.startswith(f"{self.directory}/") else path
        data = self.texts[path] if path in self.texts else self.folder.read(path)
        text = Text(environ)
        found = Section(fill(read(data, shown), text, self.report.fault), "", self.report)
        self.missing |= text.missing
        found.only(TOP)
        made = Map(found.map, found.map.places)
        made["services"] = self.services(found, path, base, environ, inside)
        for kind in ("secrets", "configs"):
            made[kind] = self.sources(found.section(kind), base)
        below = Map()
        for other in self.included(found, base, environ, (*inside, path)):
            below = merging.whole(below, other)
        made.pop("include", None)
        return merging.whole(below, made) if below else made

    def sources(self, found: Section, base: str) -> Map:
        made = Map(found.map, found.map.places)
        for name in found.map:
            inner = found.section(name)
            if file := inner.text("file"):
                made[name] = Map({**inner.map, "file": shape.whole(file, base, self.home)}, inner.map.places)
        return made

    def included(self, found: Section, base: str, environ: Mapping[str, str], inside: tuple[str, ...]) -> list[Map]:
        value = found.raw("include")
        made = []
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            one = Section(item if isinstance(item, Map) else Map({"path": item}), "include", self.report, found.place("include"))
            one.only("path project_directory env_file")
            paths = [shape.whole(path, base, self.home) for path in one.words("path")]
            if not paths or any("://" in path or path.startswith("git@") for path in one.words("path")):
                one.fault("", "only files of this machine can be included")
                continue
            directory = shape.whole(one.text("project_directory") or os.path.dirname(paths[0]), base, self.home)
            files = [shape.whole(path, base, self.home) for path in one.words("env_file")]
            inner = self.variables(directory, environ, files)
            whole = Map()
            for path in paths:
                whole = merging.whole(whole, self.file(path, directory, inner, inside))
            made.append(whole)
        return made

    def services(self, found: Section, path: str, base: str, environ: Mapping[str, str], inside: tuple[str, ...]) -> Map:
        services = found.section("services")
        made = Map({}, services.map.places)
        for name in services.map:
            if not name.startswith("x-"):
                made[name] = self.service(services, name, path, base, environ, inside, ())
        return made

    def service(
        self,
        services: Section,
        name: str,
        path: str,
        base: str,
        environ: Mapping[str, str],
        inside: tuple[str, ...],
        chain: tuple[str, ...],
    ) -> Map:
        """A service with everything that it extends below it."""
        found = services.section(name)
        made = shape.service(found, base, self.home)
        extends = made.pop("extends", None)
        if extends is None:
            return made
        of = Section(extends if isinstance(extends, Map) else Map({"service": extends}), found.at("extends"), self.report,
                     found.place("extends"))  # fmt: skip
        of.only("service file")
        other, file = of.text("service"), of.text("file")
        here = f"{path}:{name}"
        if here in chain:
            found.fault("extends", f"services extend each other in a circle: {' -> '.join((*chain, here))}")
            return made
        if len(chain) >= DEEPEST:
            found.fault("extends", f"more than {DEEPEST} services extend one another")
            return made
        if not file:
            below = self.base(services, other, of, path, base, environ, inside, (*chain, here))
        else:
            below = self.elsewhere(shape.whole(file, base, self.home), other, of, environ, (*chain, here))
        return merging.services(below, made)

    def base(self, services: Section, name: str, of: Section, *rest: object) -> Map:
        if name not in services.map:
            of.fault("", f"there is no service {name!r} to extend", reason="FieldValueNotFound")
            return Map()
        found: Map = self.service(services, name, *rest)  # type: ignore[arg-type]
        # what starts before it is its own affair (compose spec, "extends")
        return found

    def elsewhere(self, path: str, name: str, of: Section, environ: Mapping[str, str], chain: tuple[str, ...]) -> Map:
        """A service of another file, whose paths are relative to that file."""
        self.count += 1
        if self.count > MOST_FILES:
            raise InvalidInput(f"{path}: more than {MOST_FILES} files are included or extended")
        try:
            data = self.folder.read(path)
        except (NotFound, InvalidInput) as error:
            of.fault("file", str(error.message), reason="FieldValueNotFound")
            return Map()
        text = Text(environ)
        other = Section(fill(read(data, path), text, self.report.fault), "", self.report)
        self.missing |= text.missing
        base = os.path.dirname(path)
        return self.base(other.section("services"), name, of, path, base, environ, (), chain)


def found_in(directory: str, folder: Folder) -> list[str]:
    """The compose file of a directory and the one that overrides it. Raises NotFound."""
    for name in NAMES:
        if folder.kind(os.path.join(directory, name)) == "file":
            stem, suffix = os.path.splitext(name)
            over = os.path.join(directory, f"{stem}.override{suffix}")
            return [os.path.join(directory, name), *([over] if folder.kind(over) == "file" else [])]
    raise NotFound(f"{directory}: no {', '.join(NAMES)} here", hint="name the file: kubeplay generate kube --from compose FILE")
