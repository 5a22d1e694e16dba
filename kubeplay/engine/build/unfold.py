"""A stage on a known base: its steps with all words expanded and the document after each."""

from __future__ import annotations

from collections.abc import Iterable

from kubeplay.engine.build import model
from kubeplay.engine.build.actions import action
from kubeplay.engine.build.model import BuildPlan, Document, Instruction, Origin, Stage, Step, Unfolded
from kubeplay.engine.build.mutate import apply, without_triggers
from kubeplay.engine.build.parse import parse_trigger
from kubeplay.engine.build.plan import resolver
from kubeplay.engine.build.report import Report, Wrong
from kubeplay.engine.build.scope import DEFAULT_SHELL, Scope, declare
from kubeplay.errors import InvalidInput


def unfold(plan: BuildPlan, stage: Stage, document: Document) -> Unfolded:
    """The steps of `stage` upon the base's `document`. Raises InvalidInput with all faults of the stage."""
    report = Report(stage.start.file)
    triggers = [parse_trigger(text, stage.base.value) for text in _triggers(document, stage)]
    document = without_triggers(document)
    scope = _begin(plan, stage, document)
    steps: list[Step] = []
    total = 1 + len(triggers) + len(stage.instructions)
    for number, one in enumerate((*triggers, *stage.instructions), 2):
        with report.of(one):
            made = action(one, scope)
            document = apply(document, made)
            scope = _next(scope, document, made)
            layer = isinstance(made, (model.Run, model.Copy, model.Workdir))
            steps.append(Step(one, made, document, display(one), layer, number, total, number - 2 < len(triggers)))
    report.done()
    return Unfolded(stage, tuple(steps), document)


def unconsumed(plan: BuildPlan, done: Iterable[Unfolded]) -> tuple[str, ...]:
    """The warning of --build-arg names that nothing declared, in buildah's words: scripts look for them."""
    triggered = {name for each in done for step in each.steps if isinstance(step.action, model.Arg) for name, _ in step.action.pairs}
    unused = [name for name in plan.unused if name not in triggered]
    return (f"[Warning] one or more build args were not consumed: [{' '.join(unused)}]",) if unused else ()


def _triggers(document: Document, stage: Stage) -> list[str]:
    found = (document.get("config") or {}).get("OnBuild") or []
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InvalidInput(f"{stage.base.value}: config.OnBuild must be a list of strings")
    return found


def _begin(plan: BuildPlan, stage: Stage, document: Document) -> Scope:
    config = document.get("config") or {}
    scope = resolver(stage, plan.stages, plan.options)
    find = scope.origin

    def origin(text: str) -> Origin:
        found = find(text)
        if found.kind == "stage" and found.stage not in stage.needs:
            raise Wrong(f"from={text[:50]}: the base image's variables or triggers name a stage, which is not built yet", "use an ARG")
        return found

    return _of(scope._replace(origin=origin), config)


def _of(scope: Scope, config: Document) -> Scope:
    """The scope with what the image's config says."""
    return scope._replace(
        env=tuple([entry for entry in config.get("Env") or () if entry.find("=") > 0]),
        workdir=config.get("WorkingDir") or "/",
        user=config.get("User") or "",
        shell=tuple(config.get("Shell") or DEFAULT_SHELL),
        stop_signal=config.get("StopSignal") or "",
    )


def _next(scope: Scope, document: Document, made: model.Action) -> Scope:
    if isinstance(made, model.Arg):
        return scope._replace(args=declare(scope, made.pairs))
    if isinstance(made, model.Cmd):
        scope = scope._replace(cmd_set=True)
    return _of(scope, document.get("config") or {})


def display(one: Instruction) -> str:
    """The instruction as a person reads it: one line, flags and words as written, a heredoc by its first line."""
    flags = "".join(f"--{flag.name}{'' if flag.value is None else '=' + flag.value} " for flag in one.flags)
    return f"{one.name} {flags}{one.text}".rstrip()
