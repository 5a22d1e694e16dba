"""What a step leaves behind: the finished document, its history, and the key its layer is found by."""

from __future__ import annotations

import pytest

from kubeplay.engine.build import cache, history, mutate
from kubeplay.engine.build.lookup import ignore_names
from kubeplay.engine.build.model import BuildOptions, Document, Step
from kubeplay.engine.build.parse import parse
from kubeplay.engine.build.plan import plan
from kubeplay.engine.build.unfold import unfold


def steps(text: str, document: Document | None = None, **options: object) -> tuple[Step, ...]:
    made = plan(parse("FROM a\n" + text), BuildOptions(**options))  # type: ignore[arg-type]
    return unfold(made, made.stages[0], document or mutate.scratch("linux/amd64")).steps


def key(text: str, digests: tuple[str, ...] = (), parent: str = "p", document: Document | None = None, **options: object) -> str:
    return cache.key(parent, steps(text, document, **options)[-1], digests, "linux/amd64")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RUN x", "RUN y"),
        ("RUN x", 'RUN ["x"]'),
        ("RUN x", "ENV A=1\nRUN x"),
        ("RUN x", "ARG A=1\nRUN x"),
        ("RUN x", "USER 1\nRUN x"),
        ("RUN x", "WORKDIR /a\nRUN x"),
        ("RUN x", 'SHELL ["/bin/bash", "-c"]\nRUN x'),
        ("RUN x", "RUN --network=none x"),
        ("RUN x", "RUN --mount=type=tmpfs,target=/t x"),
        ("RUN --mount=target=/a,source=x y", "RUN --mount=target=/a,source=z y"),
        ("RUN <<E\n#!/x\na\nE", "RUN <<E\n#!/x\nb\nE"),
        ("COPY a /x", "COPY b /x"),
        ("COPY a /x", "COPY a /y"),
        ("COPY a /x", "COPY a /x/"),
        ("COPY a /x", "ADD a /x"),
        ("COPY a /x", "COPY --chown=1 a /x"),
        ("COPY a /x", "COPY --chmod=755 a /x"),
        ("COPY a /x", "COPY --exclude=b a /x"),
        ("COPY <<E /x\n1\nE", "COPY <<E /x\n2\nE"),
        ("COPY a /x", "WORKDIR /a"),
        ("WORKDIR /a", "USER 1\nWORKDIR /a"),
    ],
)
def test_what_decides_a_layer(one: str, other: str) -> None:
    assert key(one) != key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RUN x", "LABEL a=b\nCMD y\nEXPOSE 80\nMAINTAINER m\nRUN x"),
        ("RUN x", "ARG A\nRUN x"),
        ("ARG B=2\nARG A=1\nRUN x", "ARG A=1\nARG B=2\nRUN x"),
        ("COPY a /x", "ARG A=1\nENV B=2\nUSER 3\nCOPY a /x"),
        ("COPY a /w/x", "WORKDIR /w\nARG A=a\nCOPY $A x"),
        ("RUN --mount=target=/a,from=one y", "RUN --mount=target=/a,from=two y"),  # the digest says what they hold
    ],
)
def test_what_does_not(one: str, other: str) -> None:
    assert key(one) == key(other)


def test_parents_digests_platforms_and_proxies() -> None:
    assert key("RUN x", parent="q") != key("RUN x")
    assert key("COPY a /x", ("1",)) != key("COPY a /x", ("2",))
    step = steps("RUN x")[0]
    assert cache.key("p", step, (), "linux/arm64") != key("RUN x")
    assert key("RUN x", proxy=(("http_proxy", "y"),)) == key("RUN x")
    assert key("COPY --link a /x", parent="q") == key("COPY --link a /x")
    assert key("COPY --link --chown=1:2 a /x", parent="q") == key("COPY --link --chown=1:2 a /x")
    assert key("COPY --link --chown=app a /x", parent="q") != key("COPY --link --chown=app a /x")  # the parent's passwd
    with pytest.raises(ValueError):
        key("CMD x")


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("RUN a  b", "/bin/sh -c a  b"),
        ('RUN ["a", "b"]', "a b"),
        ("ARG X=1\nRUN a", "|1 X=1 /bin/sh -c a"),
        ("RUN <<E\n#!/x\ny\nE", "/bin/sh -c <<E\n#!/x\ny\nE"),
        ("COPY a b /d", "/bin/sh -c #(nop) COPY file:1 in /d/ "),
        ("ARG S=x", "/bin/sh -c #(nop) ARG S=x"),
        ("ENV A=$B", "/bin/sh -c #(nop) ENV A=$B"),
        ("HEALTHCHECK --interval=5s CMD x", "/bin/sh -c #(nop) HEALTHCHECK --interval=5s CMD x"),
        ("CMD []", "/bin/sh -c #(nop) CMD []"),
    ],
)
def test_history(lines: str, text: str) -> None:
    assert history.created_by(steps(lines)[-1], "file:1") == text


def test_a_given_argument_is_not_in_the_history_of_its_declaration() -> None:
    assert "hush" not in history.created_by(steps("ARG S", build_args=(("S", "hush"),))[-1])


def test_history_entries() -> None:
    step = steps("CMD x")[0]
    assert history.entry(step, "t", True, comment="FROM a") == {
        "created": "t", "created_by": "/bin/sh -c #(nop) CMD x", "comment": "FROM a", "empty_layer": True,
    }  # fmt: skip
    assert "empty_layer" not in history.entry(steps("RUN x")[0], "t", False)


def test_documents_are_not_changed_in_place() -> None:
    base = {"config": {"Env": ["A=1"], "Labels": {"a": "b"}}}
    first, second = steps("ENV B=2\nLABEL c=d", base)
    assert base == {"config": {"Env": ["A=1"], "Labels": {"a": "b"}}}
    assert first.document["config"] == {"Env": ["A=1", "B=2"], "Labels": {"a": "b"}}
    assert second.document["config"]["Labels"] == {"a": "b", "c": "d"}


def test_many_variables_are_each_there_once() -> None:
    text = "".join(f"ENV A{number}=${{A{number - 1}}}x\n" for number in range(1, 300))
    made = steps(f"{text}ENV A7=new\nENV A300=$A7", {"config": {"Env": ["A0=0", "=b", "A5=old", "A5=older"]}})
    env = mutate.finish(made[-1].document, BuildOptions())[0]["config"]["Env"]
    assert len(env) == 301 and env[:2] == ["A0=0", "A5=0xxxxx"]
    assert "A7=new" in env and env[-2:] == [f"A299=0{'x' * 299}", "A300=new"]


def test_finish() -> None:
    document = steps('HEALTHCHECK CMD x\nSHELL ["s"]\nENV A=1 B=2\nLABEL l=m n=o\nONBUILD RUN x')[-1].document
    options = BuildOptions(env=(("C", "3"),), unset_env=("A", "PATH"), labels=(("l", "new"),), unset_labels=("n",))
    finished, warnings = mutate.finish(document, options)
    assert finished["config"] == {"Env": ["B=2", "C=3"], "Labels": {"l": "new"}}
    assert [warning.split()[0] for warning in warnings] == ["HEALTHCHECK", "SHELL", "ONBUILD"]
    kept, silent = mutate.finish(document, options._replace(format="docker"))
    assert set(kept["config"]) == {"Env", "Labels", "Healthcheck", "Shell", "OnBuild"}
    assert not silent


def test_scratch() -> None:
    document = mutate.scratch("linux/arm/v7")
    assert (document["os"], document["architecture"], document["variant"]) == ("linux", "arm", "v7")


def test_ignore_files() -> None:
    assert ignore_names("sub/My.Dockerfile") == ("sub/My.Dockerfile.containerignore", "sub/My.Dockerfile.dockerignore")
