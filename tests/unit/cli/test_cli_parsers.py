"""The quick parser takes exactly what click takes, and gives the same values (cli/quick.py)."""

from __future__ import annotations

from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.cli import quick
from kubeplay.cli.clicks import build
from kubeplay.cli.declare import FLAG, GLOBAL, INTEGER, NUMBER, Command, Option
from kubeplay.cli.tree import TREE, Group, load


def leaves(node: Group = TREE, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Command]]:
    found: list[tuple[tuple[str, ...], Command]] = []
    for name, child in node.items():
        found += leaves(child, (*words, name)) if isinstance(child, Group) else [((*words, name), load(child))]
    return found


LEAVES = leaves()


def by_click(argv: list[str]) -> tuple[Command, dict[str, Any], dict[str, Any]] | None:
    """What click makes of a command line; None when it refuses it."""
    seen: list[tuple[Command, dict[str, Any], dict[str, Any]]] = []

    def run(command: Command, values: dict[str, Any], options: dict[str, Any]) -> int:
        seen.append((command, values, options))
        return 0

    try:
        build(run).main(argv, prog_name="kubeplay", standalone_mode=False)
    except (click.ClickException, click.exceptions.Exit):
        return None
    return seen[0] if seen else None


def by_quick(argv: list[str]) -> tuple[Command, dict[str, Any], dict[str, Any]] | None:
    parsed = quick.parse(argv)
    return None if parsed is None else tuple(parsed)  # type: ignore[return-value]


EXAMPLES = [
    ["ps"],
    ["ps", "-aq", "--no-trunc"],
    ["ps", "--all=false", "--format", "{{.Names}}"],
    ["--root", "/x", "ps", "-n", "team"],
    ["-nteam", "--log-level=debug", "pod", "ps", "-A"],
    ["logs", "-f", "web", "--tail", "-1"],
    ["logs", "--tail=5", "web", "-c", "app"],
    ["exec", "-it", "web", "sh", "-c", "ls -l", "--", "x"],
    ["exec", "web", "-c", "app", "-it", "--", "ls", "-l"],
    ["exec", "-i", "-e", "A=b", "--env", "C", "web", "env", "-i", "--tty=false"],
    ["exec", "web", "ls"],
    ["play", "kube", "--start=false", "a.yaml", "--replace", "-"],
    ["kube", "down", "--", "-odd.yaml"],
    ["play", "kube", "--publish", "8080:80", "--publish=9:9", "f", "--timeout", "1m30s"],
    ["image", "import", "-c", "ENV A=b", "-cCMD x", "t.tar", "name:1"],
    ["--seccomp-default=false", "info"],
    ["info", "--seccomp-default"],
    ["system", "reset", "-f"],
    ["stop", "--time", "3", "a", "b"],
    ["wait", "--interval", "500ms", "a"],
]


@pytest.mark.parametrize("argv", EXAMPLES, ids=" ".join)
def test_both_parsers_agree_and_the_quick_one_is_enough(argv: list[str]) -> None:
    quick_one = by_quick(argv)
    assert quick_one is not None
    assert quick_one == by_click(argv)


@pytest.mark.parametrize(
    "argv",
    [[], ["nonsense"], ["ps", "--nonsense"], ["ps", "extra"], ["ps", "--help"], ["port", "--nonsense"], ["exec", "web"],
     ["stop", "--time", "x", "a"], ["ps", "--format"],
     ["play", "kube", "--validate", "perhaps", "f"], ["ps", "--all=perhaps"], ["pod"], ["pod", "nonsense"], ["--log-level", "loud", "ps"],
     ["wait", "--timeout", "soon", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_what_is_wrong_is_left_to_click(argv: list[str]) -> None:
    assert by_quick(argv) is None
    assert by_click(argv) is None


def _values(option: Option) -> st.SearchStrategy[str]:
    if option.kind == INTEGER:
        return st.integers(-9, 99).map(str)
    if option.kind == NUMBER:
        return st.sampled_from(["1", "2.5", "30s", "1m"])
    if option.choices:
        return st.sampled_from(option.choices)
    return st.sampled_from(["x", "k=v", "-", "a b", "{{.ID}}", "--", "-q", "--all"])


def _option_words(option: Option) -> st.SearchStrategy[list[str]]:
    name = st.sampled_from(option.flags)
    if option.kind == FLAG:
        return st.builds(lambda n, tail: [n + tail] if n.startswith("--") else [n], name, st.sampled_from(["", "=true", "=false", "=0"]))
    separate = st.builds(lambda n, v: [n, v], name, _values(option))
    attached = st.builds(lambda n, v: [f"{n}={v}"] if n.startswith("--") else ([n + v] if v else [n, v]), name, _values(option))
    return st.one_of(separate, attached)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    words, command = draw(st.sampled_from(LEAVES))
    options = [o for o in (*command.options, *GLOBAL) if not o.hidden]
    before = draw(st.lists(st.sampled_from(GLOBAL).flatmap(_option_words), max_size=2))
    parts = draw(st.lists(st.sampled_from(options).flatmap(_option_words), max_size=4)) if options else []
    parts += [[word] for word in draw(st.lists(st.sampled_from(["web", "ns/web", "-", "80", "."]), max_size=3))]
    parts = draw(st.permutations(parts))
    tail = draw(st.sampled_from([[], [], ["--", "-x"], ["--"]]))
    return [word for part in before for word in part] + list(words) + [word for part in parts for word in part] + tail


@given(command_lines())
@settings(max_examples=400, deadline=None)
def test_the_quick_parser_never_differs_from_click(argv: list[str]) -> None:
    quick_one = by_quick(argv)
    if quick_one is not None:
        assert quick_one == by_click(argv)


def _every_option() -> list[tuple[str, Option]]:
    return [(" ".join(words), option) for words, command in LEAVES for option in command.options]


def test_every_command_option_and_argument_has_help() -> None:
    assert all(command.summary.endswith((".", ":")) or command.summary for _, command in LEAVES)
    silent = [f"{where} {option.flags}" for where, option in _every_option() if not option.help]
    silent += [" ".join(words) for words, command in LEAVES if not command.help or any(not a.help for a in command.arguments)]
    assert not silent


def test_no_command_has_one_flag_twice() -> None:
    for words, command in LEAVES:
        flags = [flag for option in (*command.options, *GLOBAL) for flag in option.flags]
        assert len(flags) == len(set(flags)), words


def test_every_command_of_the_issue_is_there() -> None:
    """`issues show 2`, section Commands."""
    top = "ps logs exec inspect stop start restart kill rm wait port top cp version info events import load images rmi tag down completion"
    nouns = {
        "play": "kube", "kube": "play down generate", "generate": "kube", "pod": "ps inspect logs stop start restart rm exists",
        "image": "import load ls rm inspect tag exists", "volume": "ls inspect rm create exists", "network": "ls inspect create rm",
        "secret": "ls inspect rm", "configmap": "ls inspect rm", "system": "check reset",
    }  # fmt: skip
    assert set(top.split()) <= set(TREE)
    for noun, verbs in nouns.items():
        assert set(verbs.split()) <= set(TREE[noun])


def test_play_kube_has_every_flag_of_the_issue() -> None:
    wanted = (
        "--down --replace --start --wait --publish --publish-all --network --ip --mac-address --configmap --quiet --dry-run "
        "--output --validate "
        "--annotation --label --no-pod-prefix --log-driver --log-opt --wait-ready --timeout --keep-on-failure --log-level --namespace"
    )
    play = next(command for words, command in LEAVES if words == ("play", "kube"))
    assert set(wanted.split()) <= {flag for option in (*play.options, *GLOBAL) for flag in option.flags}
