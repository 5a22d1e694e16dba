"""Text to instructions: lines, directives, heredocs, forms; and every fault with its place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.engine.build import mutate
from kubeplay.engine.build.lookup import check
from kubeplay.engine.build.model import BuildOptions, Flag, Instruction
from kubeplay.engine.build.parse import parse, parse_trigger
from kubeplay.engine.build.plan import plan
from kubeplay.engine.build.syntax import FORMS
from kubeplay.engine.build.unfold import unfold
from kubeplay.errors import InvalidInput, NotSupported


def one(text: str) -> Instruction:
    return parse(text)[-1]


def faults(text: str | bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse(text, "dir/Containerfile")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("FROM a\nRUN x", ["FROM a", "RUN x"]),
        ("from a\nrun x\n\n# c\n  cmd y", ["FROM a", "RUN x", "CMD y"]),
        ("\ufeffFROM a", ["FROM a"]),
        ("FROM a\r\nRUN a \\\r\n b\r\n", ["FROM a", "RUN a  b"]),
        ("FROM a\nRUN a \\  \n# comment\n\n   # c\n  b \\\n", ["FROM a", "RUN a   b"]),
        ("FROM a\nRUN a \\\\\nRUN b", ["FROM a", "RUN a \\\\", "RUN b"]),
        ("# escape=`\nFROM a\nRUN a `\n b \\\nRUN c", ["FROM a", "RUN a  b \\", "RUN c"]),
        ("# c\n# escape=`\nFROM a\nRUN a \\\n b", ["FROM a", "RUN a  b"]),
        ("FROM a\n\\\n\nRUN x", ["FROM a", "RUN x"]),
        ("FROM a\nRUN x \\", ["FROM a", "RUN x"]),
        ("FROM a\nRUN x # no comment", ["FROM a", "RUN x # no comment"]),
    ],
)
def test_lines(text: str, names: list[str]) -> None:
    assert [f"{found.name} {found.text}" for found in parse(text)] == names


def test_places() -> None:
    found = parse(b"# syntax=docker/dockerfile:1\nFROM a\n\nRUN x \\\n y\nCMD z\n", "F")
    assert [(each.name, each.line) for each in found] == [("#", 1), ("FROM", 2), ("RUN", 4), ("CMD", 6)]
    assert found[2].raw == "RUN x \\\n y"
    assert found[2].where == "F:4"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN <<EOF\na\n b\nEOF", [("EOF", "a\n b\n", True)]),
        ("RUN <<-EOF cat\n\t\ta\n\tEOF", [("EOF", "a\n", True)]),
        ("COPY <<'A b' <<\"C\" /d/\n$x\nA b\nC", [("A b", "$x\n", False), ("C", "", False)]),
        ("ADD <<a.txt <<b.txt /d/\n1\na.txt\n2\nb.txt\n", [("a.txt", "1\n", True), ("b.txt", "2\n", True)]),
        ("RUN 3<<EOF cat <&3\nx\nEOF", [("EOF", "x\n", True)]),
        ("ONBUILD RUN <<EOF\nx\nEOF", [("EOF", "x\n", True)]),
        ("RUN <<EOF \\\n cat\n# kept\nEOF", [("EOF", "# kept\n", True)]),
        ("RUN <<EOF\r\na\r\nEOF\r\n", [("EOF", "a\n", True)]),
        ("RUN cat <<<x", []),
        ("RUN echo $((1 <<2))", []),
        ("RUN echo 'a <<EOF'", []),
        ("RUN [\"a\", \"b <<EOF\"]", []),
        ("LABEL a=b c=<<EOF", []),
        ("ENV a <<EOF", []),
    ],
)
def test_heredocs(text: str, expected: list[tuple[str, str, bool]]) -> None:
    assert [(doc.name, doc.content, doc.expand) for doc in one("FROM a\n" + text).heredocs] == expected


def test_forms_and_flags() -> None:
    assert one('FROM a\nCMD ["a", "b"]').json == ("a", "b")
    assert one("FROM a\nCMD [ -f x ]").json is None
    assert one("FROM a\nENTRYPOINT").text == ""
    assert one("FROM a\nCOPY --from=x --link --chown='a b' y z").flags == (Flag("from", "x"), Flag("link"), Flag("chown", "a b"))
    assert one("FROM a\nRUN --mount=type=tmpfs,target=/a --mount=target=/b x --y").text == "x --y"
    inner = one("FROM a\nONBUILD COPY --chown=1 . /x").inner
    assert inner and (inner.name, inner.text, inner.flags) == ("COPY", ". /x", (Flag("chown", "1"),))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("FORM x", "FORM: unknown instruction, in 'FORM x' (did you mean FROM?)"),
        ("RUN", "RUN: has no arguments"),
        ("COPY a", "needs at least one source and a destination"),
        ("COPY --form=x a b", "unknown flag --form, in 'COPY --form=x a b' (did you mean --from?)"),
        ("COPY --from a b", "--from needs a value"),
        ("COPY --link=maybe a b", "neither true nor false"),
        ("COPY --chown=a --chown=b a b", "--chown is given twice"),
        ("COPY --chown=99999999999 a b", "out of range"),
        ("COPY --chmod=9 a b", "--chmod=9 is no mode"),
        ("COPY 'a b' /c", "a single quote is not closed"),
        ("COPY https://x/y /z", "COPY takes no URL"),
        ("COPY <<EOF /x\n", "the heredoc <<EOF has no end"),
        ("ADD --checksum=sha256:12 https://x/y /z", "is no checksum"),
        ("ADD --checksum=sha256:12 y /z", "--checksum needs one source"),
        ("ADD --keep-git-dir https://x/y /z", "--keep-git-dir needs a git repository"),
        ("ENV x", "'x' has no value"),
        ("ENV a=1 b", "'b' is no NAME=VALUE"),
        ("LABEL a=${b", "has no closing }"),
        ("ENV a=${b^^}", "no known modifier"),
        ("ARG 1a", "no name of a variable"),
        ("EXPOSE 8o80", "is no port"),
        ("EXPOSE 80:80", "a host's port"),
        ("EXPOSE 70000", "ports are 1 to 65535"),
        ("EXPOSE 90-80", "the lower first"),
        ("CMD [1]", "list of strings"),
        ('RUN ["a"] && b', "follows the JSON list"),
        ("RUN []", "runs nothing"),
        ("RUN --device=x y", "not supported"),
        ("RUN --network=bridge y", "none of default, none, host"),
        ("RUN --mount=type=bind x", "needs a target"),
        ("RUN --mount=type=cach,target=/x y", "did you mean cache?"),
        ("RUN --mount=target=/x,sourc=/y z", "did you mean source?"),
        ("RUN --mount=target=/x,target=/y z", "target is given twice"),
        ("RUN --mount=target=/x,ro,rw z", "exclude each other"),
        ("RUN --mount=target=/ z", "cannot be /"),
        ("RUN --mount=type=tmpfs,target=/x,size=lots z", "no size"),
        ("RUN --mount=type=secret z", "needs an id"),
        ("RUN --mount=type=secret,id=../x z", "needs a target"),
        ("RUN --mount=type=cache,target=/x,sharing=all z", "none of shared, private, locked"),
        ("RUN --mount=type=cache,target=/x,mode=9 z", "mode=9"),
        ("SHELL /bin/sh", "JSON list"),
        ("STOPSIGNAL SIGFOO", "is no signal"),
        ("USER 4294967296", "out of range"),
        ("VOLUME /", "/ cannot be a volume"),
        ("WORKDIR ''", "empty"),
        ("HEALTHCHECK curl x", "neither CMD nor NONE"),
        ("HEALTHCHECK CMD", "has no command"),
        ("HEALTHCHECK --interval=5 CMD x", "is no duration"),
        ("HEALTHCHECK --timeout=1us CMD x", "less than 1ms"),
        ("HEALTHCHECK --retries=-1 CMD x", "no number"),
        ("HEALTHCHECK NONE x", "takes nothing else"),
        ("ONBUILD FROM x", "cannot be a trigger"),
        ("ONBUILD CPOY a b", "did you mean COPY?"),
        ("ONBUILD COPY a", "needs at least one source"),
        ("MAINTAINER --x=y me", "unknown flag --x"),
    ],
)
def test_faults(line: str, told: str) -> None:
    text = faults(f"FROM a\n{line}")
    assert "dir/Containerfile:2:1: " in text
    assert told in text


def test_all_faults_at_once_in_order() -> None:
    text = faults("# escape=x\nFORM a\nRUN\nFROM a\nEXPOSE x\n")
    assert [line.split(":")[1] for line in text.splitlines()[1:]] == ["1", "2", "3", "5"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no instructions"),
        (b"# only\n", "no instructions"),
        (b"FROM a\n\xff", "Containerfile:2: not UTF-8"),
        (b"\xff\xfeF\0", "UTF-16"),
        (b"FROM a\nRUN \0", "Containerfile:2: a NUL byte"),
        (b"#" * (5 << 20), "the limit is"),
        (b"# escape=`\n# escape=`\nFROM a", "a second # escape="),
    ],
)
def test_files_that_are_none(data: bytes, told: str) -> None:
    assert told in faults(data)


def test_triggers_of_images() -> None:
    assert parse_trigger("RUN x", "img").text == "x"
    for text in ("FROM x", "ONBUILD RUN x", "RUN a\nRUN b", "NOPE"):
        with pytest.raises(InvalidInput, match="ONBUILD of img"):
            parse_trigger(text, "img")


def test_the_preprocessor_is_not_run() -> None:
    check("Containerfile")
    with pytest.raises(NotSupported, match="preprocessor"):
        check("Containerfile.in")


PIECES = st.sampled_from(
    [*FORMS, "AS", "NONE", "--from=x", " ", " ", "\n", "\n", "\\\n", "\t", "\r\n", "a", "a=b", "$A", "${A", "${A:-b}", "${A/b/c}"]
    + ["<<EOF", "<<-'E'", "EOF", "80", "/", '["a"]', "[", "--mount=type=cache,target=/x", "--mount=", "--chown=$A", "--link"]
    + ["https://x/y.git#z", "# escape=`\n", "=", "\0", "scratch", "é", "'", '"', "\\"]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=80) | st.binary(max_size=60))
def test_hostile_text_only_raises_invalid_input(text: str | bytes) -> None:
    try:
        made = plan(parse(text if isinstance(text, bytes) else "FROM x\n" + text), BuildOptions(build_args=(("A", "v"),)))
        for number in made.order:
            unfold(made, made.stages[number], mutate.scratch("linux/amd64"))
    except InvalidInput as error:
        assert str(error)
