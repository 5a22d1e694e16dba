"""kube check: what of files would not work in a cluster, or on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from kubeplay.cli import planning, sourcing
from kubeplay.cli.declare import choice, command, flag
from kubeplay.errors import EXIT_FAILURE

if TYPE_CHECKING:
    from kubeplay.cli.app import App
    from kubeplay.cluster.judging import Judged, Verdict
    from kubeplay.play.sources import Source

FOUND = 1
_COLORS = {"error": "\x1b[31m", "warning": "\x1b[33m", "info": "\x1b[36m"}
_PLURAL = {"error": "errors", "warning": "warnings", "info": "remarks"}


@command(
    "check",
    "Say what of files works here and would not in a cluster, or (--for local) the other way round.\n\n"
    "    kubeplay kube check app.yaml\n    kubeplay kube check --pod-security restricted -k overlays/prod\n\n"
    "Errors would be refused or cannot run there, warnings mean something else there, remarks could be better. The Pod Security"
    " Standards are looked at whole: what breaks baseline is a warning and what breaks restricted a remark, or an error where"
    " --pod-security or the label pod-security.kubernetes.io/enforce of a Namespace in the files says that it is enforced.\n\n"
    "Exit status 0, or 1 when something is as bad as --fail-on says; 125 when a file cannot be read.",
    sourcing.FILES,
    sourcing.SOURCES,
    choice("--for", choices=("cluster", "local"), dest="target", default="cluster", help="Where the files shall work."),
    choice("--pod-security", choices=("privileged", "baseline", "restricted"), help="The standard that the cluster's namespaces enforce."),
    choice("--fail-on", choices=("error", "warning", "info", "never"), default="error", help="What makes the exit status 1."),
    choice("-o", "--output", choices=("text", "json"), default="text", help="Form of what is found."),
    flag("-q", "--quiet", help="Show errors and warnings only."),
    planning.COLOR,
)
def check(
    app: App, *, files: tuple[str, ...], target: str, pod_security: str | None, fail_on: str, output: str, quiet: bool, color: str,
    **given: Any,
) -> int:  # fmt: skip
    from kubeplay.cluster import judging

    texts = sourcing.texts(files, given)
    verdict = judging.judge(texts, _question(app, texts, target, pod_security))
    shown = [one for one in verdict.judged if not (quiet and one.level == "info")]
    if output == "json":
        _json(verdict, shown)
    else:
        painted = planning.colored(color)
        for one in shown:
            print(_line(one, painted))
        print(_summary(verdict, target), file=sys.stderr)
    if any(one.rule == "invalid" and not one.object for one in verdict.judged):
        return EXIT_FAILURE  # no YAML
    return FOUND if fail_on != "never" and verdict.reaches(fail_on) else 0


def _question(app: App, texts: list[Source], target: str, standard: str | None) -> Any:
    """With what this machine knows: images that are nowhere else, the node's name, and what a verdict depends on."""
    import os

    from kubeplay.cluster import judging
    from kubeplay.kube.portable.model import Facts

    facts, known = Facts(), None
    if app.has_store:
        from kubeplay.generate.published import facts as published
        from kubeplay.play.known import facts as stored
        from kubeplay.play.known import known as knowledge

        facts = published(app.engine.images, judging.objects(texts))
        known = knowledge(stored(app.store, ""))
    return judging.Question(target, standard or "", app.namespace, facts._replace(node=os.uname().nodename), known)


def _line(one: Judged, painted: bool) -> str:
    from kubeplay.cli import failure

    where = failure.places.get(one.source)
    text = failure.safe(str(one) + (f" [{where(one.line)}]" if where and where(one.line) else ""))
    return text.replace(f" {one.level}: ", f" {_COLORS[one.level]}{one.level}\x1b[0m: ", 1) if painted else text


def _summary(verdict: Verdict, target: str) -> str:
    numbers = [(verdict.count(level), level) for level in _PLURAL]
    counts = [f"{count} {_PLURAL[level].removesuffix('s') if count == 1 else _PLURAL[level]}" for count, level in numbers if count]
    standard = f"; Pod Security Standard: {verdict.standard}" if verdict.standard else ""
    return f"for {'a cluster' if target == 'cluster' else 'this machine'}: {', '.join(counts) or 'nothing to say'}{standard}"


def _json(verdict: Verdict, shown: list[Judged]) -> None:
    from kubeplay.cli.listing import json_text

    counts = {level: verdict.count(level) for level in _PLURAL}
    found = {"findings": [one._asdict() for one in shown], "podSecurityStandard": verdict.standard, "summary": counts}
    sys.stdout.write(json_text(found) + "\n")
