"""Words and variables: tables after the Dockerfile reference, and a shell as the reference where both mean the same."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from kubeplay.engine.build.expand import expand, expand_content, expand_words
from kubeplay.engine.build.report import Wrong
from kubeplay.engine.build.words import flags, json_list, pairs, raw_words, unquote

VARIABLES = {"A": "abcabc", "EMPTY": "", "PATHS": "/a/b.tar.gz", "STAR": "a*b", "SPACED": "x  y"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("$A-${A}", "abcabc-abcabc"),
        ("$NONE", ""),
        ("$", "$"),
        ("a$", "a$"),
        ("$(x)", "$(x)"),
        (r"\$A", "$A"),
        (r"\\$A", "\\abcabc"),
        (r"\n", "n"),
        ("'$A'", "$A"),
        (r"'\'", "\\"),
        ('"$A"', "abcabc"),
        (r'"\$A \" \n"', '$A " \\n'),
        ("a'b c'd", "ab cd"),
        ("${NONE:-x}${NONE-y}", "xy"),
        ("${EMPTY:-x}${EMPTY-y}", "x"),
        ("${A:+x}${A+y}${EMPTY:+z}${EMPTY+u}${NONE+v}", "xyu"),
        ("${NONE:-$A}", "abcabc"),
        ("${NONE:-${ALSO:-deep}}", "deep"),
        ("${NONE:-'a b'}", "a b"),
        ("${A:?wanted}", "abcabc"),
        ("${EMPTY?}", ""),
        ("${PATHS#/a/}", "b.tar.gz"),
        ("${PATHS##*/}", "b.tar.gz"),
        ("${PATHS#*/}", "a/b.tar.gz"),
        ("${PATHS%.*}", "/a/b.tar"),
        ("${PATHS%%.*}", "/a/b"),
        ("${A%bc}", "abca"),
        ("${A#[a]}", "abcabc"),  # the reference knows * and ? only
        ("${STAR%\\*b}", "a"),
        ("${STAR%'*b'}", "a"),
        ("${A/b/x}", "axcabc"),
        ("${A//b/x}", "axcaxc"),
        ("${A//b?/}", "aa"),
        ("${A/b*/!}", "a!"),
        ("${PATHS//\\//_}", "_a_b.tar.gz"),
        ("${A/}", None),
        ("${A", None),
        ("${A:", None),
        ("${}", None),
        ("${:-x}", None),
        ("${A^}", None),
        ("${NONE:?}", None),
        ("${NONE:?must be}", None),
        ("${EMPTY:?}", None),
        ("'a", None),
        ('"a', None),
    ],
)
def test_expand(word: str, value: str | None) -> None:
    if value is not None:
        assert expand(word, VARIABLES) == value
        return
    with pytest.raises(Wrong):
        expand(word, VARIABLES)


def test_messages_of_required_variables() -> None:
    with pytest.raises(Wrong, match="V: say which"):
        expand("${V:?say which}", {})
    with pytest.raises(Wrong, match="V: is not allowed to be empty"):
        expand("${V:?}", {"V": ""})
    assert expand("${V:?}", {}, lenient=True) == ""


def test_another_escape() -> None:
    assert expand(r"c:\dir`$A", {"A": "x"}, "`") == r"c:\dir$A"


def test_no_bomb() -> None:
    variables = {"A": "x" * 1000}
    with pytest.raises(Wrong, match="grows beyond"):
        expand("$A" * 2000, variables)
    with pytest.raises(Wrong, match="too deeply"):
        expand("${A:+" * 5000, variables)
    value = {"A": "a" * 100_000}
    assert expand("${A%%*a*a*a*a*a*b}", value) == value["A"]  # backtracking would take years
    assert expand("${A//*a*a*a*a*a*b/}", value) == value["A"]


def test_content_of_a_heredoc() -> None:
    assert expand_content('"$A" \'$A\' \\$A \\n \\\\', {"A": "x"}) == "\"x\" 'x' $A \\n \\"


def test_words_that_variables_part() -> None:
    assert expand_words("80 $PORTS '$X'", {"PORTS": "90 100", "X": "a b"}) == ["80", "90", "100", "$X"]


ATOMS = ("a", "-", r"\a", r"\$", r"\\", "'a$A'", r"'\a'", '"a$A"', r'"\\"', r'"\$A"', r'"\a"', '"${C}"', r'"\""', "$A", "$B", "$C", "$D")
PATTERNS = ("a", "b", "c", "*", "?", "x", r"\*", '"*"', "'?'", "$A", "${B}")


def _atom(chance: random.Random) -> str:
    operator = chance.choice(("", ":-", "-", ":+", "+", "#", "##", "%", "%%", "/", "//"))
    name = chance.choice("ABCDE")
    plain = PATTERNS[:6] if operator[:1] == "/" else PATTERNS  # bash 5.2 misses matches of ${D//*"*"/}
    pattern = "".join(chance.choice(plain) for _ in range(chance.randint(0, 4)))
    if not operator:
        return chance.choice(ATOMS)
    if operator[0] == "/":
        return f"${{{name}{operator}{pattern or 'a'}/{chance.choice(('', 'q', '$C'))}}}"
    if operator[0] in "#%":
        return f"${{{name}{operator}{pattern}}}"
    return f"${{{name}{operator}{chance.choice(('', 'w', '$A', chr(39) + 'q q' + chr(39)))}}}"


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is the reference")
def test_like_a_shell() -> None:
    chance = random.Random(8)
    variables = {"A": "abcabc", "B": "", "C": "x/y z", "D": "a*b?c"}
    words = ["".join(_atom(chance) for _ in range(chance.randint(1, 4))) for _ in range(2000)]
    script = "shopt -u patsub_replacement 2>/dev/null\n" + "\n".join(f"v={word}; printf '%s\\0' \"$v\"" for word in words)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=variables, check=True)
    values = done.stdout.split("\0")[:-1]
    assert len(values) == len(words)
    assert [(word, expand(word, variables)) for word in words] == list(zip(words, values))


def test_raw_words() -> None:
    assert raw_words(r"""a "b c" d'e f'  g\ h""") == ["a", '"b c"', "d'e f'", r"g\ h"]
    with pytest.raises(Wrong):
        raw_words("a 'b")


def test_unquote() -> None:
    assert unquote(r"""a"b c"'d\'\e""") == r"ab cd\e"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A=1 B=2", (("A", "1"), ("B", "2"))),
        ('A="x y" B=', (("A", '"x y"'), ("B", ""))),
        ("A  x  y ", (("A", "x  y"),)),
        ('"a b"=c "d=e"=f', (('"a b"', "c"), ('"d=e"', "f"))),
        ("A=b=c", (("A", "b=c"),)),
        ("A", None),
        ("A=1 B", None),
        ("=1", None),
        ('""=1', None),
    ],
)
def test_pairs(text: str, found: tuple[tuple[str, str], ...] | None) -> None:
    if found is not None:
        assert pairs(text, "\\", "ENV") == found
        return
    with pytest.raises(Wrong):
        pairs(text, "\\", "ENV")


def test_json_list() -> None:
    assert json_list('["a", "b c"]') == ("a", "b c")
    assert json_list("[]") == ()
    assert json_list("[ -f x ] && y") is None
    assert json_list("['a']") is None
    assert json_list("[" * 100_000) is None
    for text in ('["a", 1]', '["a"] b', '["\\u0000"]'):
        with pytest.raises(Wrong):
            json_list(text)


def test_flags() -> None:
    assert flags("--a=1 --b '--c=d e' x --no", "\\") == ([("a", "1"), ("b", None)], "'--c=d e' x --no")
    assert flags("--a='x y' -- --b", "\\") == ([("a", "x y")], "--b")
