"""Instructions to stages: what each begins with, what it needs, which are built. FROM and --from are expanded, the rest is left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kubeplay.engine.build import model
from kubeplay.engine.build.actions import action
from kubeplay.engine.build.copying import copy
from kubeplay.engine.build.model import BuildOptions, BuildPlan, Instruction, Origin, Stage
from kubeplay.engine.build.mutate import set_env
from kubeplay.engine.build.parse import DIRECTIVE
from kubeplay.engine.build.report import Report, Wrong, near
from kubeplay.engine.build.running import mount_origins
from kubeplay.engine.build.scope import PROXIES, Args, Scope, declare, platform_args
from kubeplay.engine.build.syntax import value
from kubeplay.engine.build.words import raw_words, unquote
from kubeplay.errors import InvalidInput

_STAGE_NAME = r"[a-z][a-z0-9._-]*"
_FILE = r"[a-z-]+:/|(oci|oci-archive|docker-archive|dir|containers-storage):"  # a transport's other than docker://
_MANY = 200  # stages of no file that a person wrote: each is compared with each
_PLATFORM = r"[a-z0-9]{1,20}/[a-z0-9_]{1,20}(/[a-z0-9.]{1,20})?"
_SYNTAX = r"(docker\.io/)?docker/dockerfile(-upstream)?([:@].*)?"


def plan(instructions: Sequence[Instruction], options: BuildOptions) -> BuildPlan:
    """Raises InvalidInput with all faults of FROM lines and stage references, or for an unknown target."""
    file = next((one.file for one in instructions), "Containerfile")
    report = Report(file)
    outer, groups = _split(instructions, options, report)
    stages: list[Stage] = []
    for start, body in groups:
        with report.of(start):
            stages.append(_stage(start, body, stages, outer, options))
            continue
        stages.append(Stage(len(stages), "", Origin("scratch", "scratch"), options.platform, start, body))
    if not groups and not report.faults:
        raise InvalidInput(f"{file} has no FROM", hint="the first instruction is FROM, as in: FROM alpine")
    needed: list[Stage] = []
    ends: list[Scope] = []
    for stage in stages:
        found, end = _with_needs(stage, stages, ends, options, report)
        needed.append(found)
        ends.append(end)
    report.done()
    target = _target(needed, options, file)
    order = _order(needed, target, options)
    warnings = (*_warnings(instructions), *_mistaken(needed))
    return BuildPlan(tuple(needed), order, target, options, warnings, _unused(instructions, options))


Group = tuple[Instruction, tuple[Instruction, ...]]


def _split(instructions: Sequence[Instruction], options: BuildOptions, report: Report) -> tuple[Args, list[Group]]:
    """The ARGs before the first FROM, and each FROM with what follows it."""
    scope = Scope(outer=tuple(platform_args(options).items()), given=options.build_args)
    scope = scope._replace(args=declare(scope, tuple((name, None) for name, _ in scope.outer)))
    groups: list[tuple[Instruction, list[Instruction]]] = []
    for one in instructions:
        if one.name == DIRECTIVE:
            continue
        if one.name == "FROM":
            groups.append((one, []))
        elif groups:
            groups[-1][1].append(one)
        elif one.name != "ARG":
            report.add(one, f"{one.name} stands before the first FROM", "only ARG may")
        else:
            with report.of(one):
                made = action(one, scope)
                assert isinstance(made, model.Arg)
                scope = scope._replace(args=declare(scope, made.pairs))
    return scope.args, [(start, tuple(body)) for start, body in groups]


def _stage(start: Instruction, body: tuple[Instruction, ...], before: list[Stage], outer: Args, options: BuildOptions) -> Stage:
    scope = Scope(args=outer)
    words = raw_words(start.text, start.escape)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
        raise Wrong("FROM takes an image, or an image AS a name", "as in FROM alpine AS build")
    image = scope.expand(words[0], start.escape)
    if not image:
        raise Wrong("the image is empty after expansion", "an ARG before the first FROM, with a default or --build-arg, gives it")
    if options.base and not before:
        image = options.base
    name = _name(unquote(words[2], start.escape), before) if len(words) == 3 else ""
    platform = scope.expand(value(start.flags, "platform"), start.escape) or options.platform
    if not re.fullmatch(_PLATFORM, platform):
        raise Wrong(f"--platform={platform[:50]} is no OS/ARCH[/VARIANT]", "as in linux/arm64")
    origin = Origin("scratch", image) if image == "scratch" else _origin(image, before, options.contexts, False)
    return Stage(len(before), name, origin, platform, start, body, args=outer)


def _name(written: str, before: list[Stage]) -> str:
    name = written.lower()
    if not re.fullmatch(_STAGE_NAME, name):
        raise Wrong(f"{written[:50]!r} is no name of a stage", "a letter, then letters, digits, . _ -")
    if name == "scratch":
        raise Wrong("scratch cannot name a stage")
    for stage in before:
        if stage.name == name:
            raise Wrong(f"the name {name} is taken by the stage at {stage.start.where}")
    return name


def _origin(text: str, before: Sequence[Stage], contexts: Iterable[str], numbers: bool = True) -> Origin:
    """What `text` names in a FROM or --from: a build context, a stage before, or an image."""
    if text in contexts:
        return Origin("named", text)
    for stage in before:
        if stage.name and stage.name == text.lower():
            return Origin("stage", text, stage.number)
    if numbers and text.isascii() and text.isdigit():
        if len(text) > 6 or int(text) >= len(before):
            raise Wrong(f"there is no stage {text[:20]} before this one")
        return Origin("stage", text, int(text))
    image = text.removeprefix("docker://")
    _check_image(image)
    return Origin("image", image)


def _check_image(text: str) -> None:
    """A name that no registry could have is the file's fault, to be told with the others."""
    from kubeplay.engine.images.reference import parse as parse_reference

    if re.match(_FILE, text):  # a Containerfile may be a stranger's: it reads its context and registries, nothing else of this machine
        raise Wrong(f"{text[:100]} is no image of a registry or of this store", "bring it here with `kubeplay pull` or `load` first")
    if re.fullmatch("[0-9a-f]{64}", text):  # an image's id
        return
    try:
        parse_reference(text)
    except InvalidInput as error:
        raise Wrong(error.message, error.hint) from None


def resolver(stage: Stage, stages: Sequence[Stage], options: BuildOptions) -> Scope:
    """A stage's scope at its start, as far as the file alone says; unfold fills in what the base image brings."""
    before = stages[: stage.number]
    return Scope(
        args=stage.inherited,
        outer=stage.args,
        given=options.build_args,
        proxy=run_proxies(options),
        origin=lambda text: _origin(text, before, options.contexts),
    )


def run_proxies(options: BuildOptions) -> tuple[tuple[str, str], ...]:
    given = {name: text for name, text in options.build_args if name in PROXIES}
    return tuple({**dict(options.proxy), **given}.items())


def _with_needs(
    stage: Stage, stages: Sequence[Stage], ends: Sequence[Scope], options: BuildOptions, report: Report
) -> tuple[Stage, Scope]:
    """The stage with needs, images and contexts: the origins its instructions name, by ARG and ENV of the file itself; and its scope's end.
    `ends` are those of the stages before.
    """
    below = ends[stage.base.stage] if stage.base.kind == "stage" else Scope()
    scope = resolver(stage._replace(inherited=below.args), stages, options)._replace(env=below.env, lenient=True)
    origins = [stage.base]
    for one in (*_triggers(stage, stages), *stage.instructions):
        with report.of(one):
            scope = _learn(one, scope)
            origins += _origins(one, scope)
    needs = sorted({origin.stage for origin in origins if origin.kind == "stage"})
    images = dict.fromkeys(origin.value for origin in origins[1:] if origin.kind == "image")
    contexts = dict.fromkeys(origin.value for origin in origins[1:] if origin.kind == "named")
    found = stage._replace(needs=tuple(needs), images=tuple(images), contexts=tuple(contexts), inherited=below.args)
    return found, scope


def _triggers(stage: Stage, stages: Sequence[Stage]) -> list[Instruction]:
    base = stages[stage.base.stage] if stage.base.kind == "stage" else None
    return [one.inner for one in base.instructions if one.inner] if base else []


def _learn(one: Instruction, scope: Scope) -> Scope:
    """The scope after an ARG or ENV. What is wrong with one is unfold's to say: it knows what the base image brings."""
    if one.name not in ("ARG", "ENV"):
        return scope
    try:
        made = action(one, scope)
    except Wrong:
        return scope
    if isinstance(made, model.Arg):
        return scope._replace(args=declare(scope, made.pairs))
    return scope._replace(env=tuple(set_env(list(scope.env), made.pairs))) if isinstance(made, model.Env) else scope


def _origins(one: Instruction, scope: Scope) -> list[Origin]:
    """Where COPY and RUN take files from. What else is wrong with their words is unfold's to say: it knows all variables."""
    if one.name == "COPY" and value(one.flags, "from"):
        only = one._replace(text=". .", json=None, heredocs=(), flags=tuple(flag for flag in one.flags if flag.name == "from"))
        return [copy(only, scope).origin]
    if one.name == "RUN" and any("from=" in (flag.value or "") for flag in one.flags):
        return mount_origins(one, scope)
    return []


def _target(stages: Sequence[Stage], options: BuildOptions, file: str) -> int:
    text = options.target
    if not text:
        return len(stages) - 1
    for stage in stages:
        if stage.name == text.lower():
            return stage.number
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) < len(stages):
        return int(text)
    names = tuple(stage.name for stage in stages if stage.name)
    known = f"its stages are {', '.join(names)}" if names else f"its stages have no names: 0 to {len(stages) - 1}"
    raise InvalidInput(f"{file} has no stage {text[:50]!r} (--target)", hint=near(text, names) or known)


def _order(stages: Sequence[Stage], target: int, options: BuildOptions) -> tuple[int, ...]:
    if not options.skip_unused_stages:
        return tuple(range(target + 1))
    needed, todo = {target}, [target]
    while todo:
        for number in stages[todo.pop()].needs:
            if number not in needed:
                needed.add(number)
                todo.append(number)
    return tuple(sorted(needed))


def _unused(instructions: Sequence[Instruction], options: BuildOptions) -> tuple[str, ...]:
    declared = {*PROXIES, *platform_args(options)}
    for one in instructions:
        for arg in (one, one.inner):
            if arg and arg.name == "ARG":
                declared |= {unquote(word.partition("=")[0], arg.escape) for word in raw_words(arg.text, arg.escape)}
    return tuple(sorted({name for name, _ in options.build_args} - declared))


def _mistaken(stages: Sequence[Stage]) -> Iterable[str]:
    """Images that were perhaps meant to be stages."""
    for stage in stages if len(stages) < _MANY else ():
        base = (stage.base.value,) if stage.base.kind == "image" else ()
        later = {other.name: other for other in stages[stage.number :] if other.name}
        before = tuple(other.name for other in stages[: stage.number] if other.name)
        for image in (*base, *stage.images):
            if image.lower() in later:
                where = later[image.lower()].start.where
                yield f"{stage.start.where}: {image} is an image here: the stage of that name begins only at {where}"
            elif not set(image) & set("/:@.") and (hint := near(image.lower(), before)):
                yield f"{stage.start.where}: {image} is an image here: no stage before is called that ({hint})"


def _warnings(instructions: Sequence[Instruction]) -> list[str]:
    found = []
    for one in instructions:
        if one.name == DIRECTIVE and not re.fullmatch(_SYNTAX, one.text):
            found.append(f"{one.where}: # syntax={one.text[:80]} names another frontend, which is not used: read as a Dockerfile")
        elif one.name == "MAINTAINER":
            found.append(f"{one.where}: MAINTAINER is deprecated: write LABEL org.opencontainers.image.authors=...")
        elif one.name in ("RUN", "CMD", "ENTRYPOINT") and one.json is None and re.fullmatch(r"\[\s*'.*\]", one.text, re.DOTALL):
            found.append(f"{one.where}: {one.name} {one.text[:80]} is no JSON list (its quotes are double), so the shell gets it as text")
    return found
