"""Unit files as systemd.syntax(7) has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.errors import InvalidInput
from kubeplay.generate.quadlet import unitfile
from kubeplay.generate.quadlet.unitfile import Setting

TEXT = b"""# a comment
; another
[Unit]
Description = A name with = in it  \n
[Kube]
Yaml=a.yaml \\
# a comment inside a continued line
  b.yaml
PublishPort=1
PublishPort=
PublishPort=80:80
[Unit]
After=x.service
"""


def setting(value: str) -> Setting:
    return Setting("Kube", "PodmanArgs", value, "/x.kube", 3)


def test_sections_settings_and_their_lines() -> None:
    unit = unitfile.parse(TEXT, "/x.kube")
    assert unit.sections == ("Unit", "Kube")
    assert [(one.section, one.key, one.value, one.line) for one in unit.settings] == [
        ("Unit", "Description", "A name with = in it", 4), ("Kube", "Yaml", "a.yaml    b.yaml", 7), ("Kube", "PublishPort", "1", 10),
        ("Kube", "PublishPort", "", 11), ("Kube", "PublishPort", "80:80", 12), ("Unit", "After", "x.service", 14),
    ]  # fmt: skip
    assert [one.value for one in unit.all("Kube", "PublishPort")] == ["80:80"]
    assert unit.last("Kube", "Nothing") is None


def test_dropins_come_after() -> None:
    unit = unitfile.parse(b"[Kube]\nYaml=a\nUserNS=auto\n", "/x.kube")
    more = unit.with_dropins([unitfile.parse(b"[Kube]\nUserNS=\n[Service]\nRestart=always\n", "/x.kube.d/a.conf")])
    assert more.last("Kube", "UserNS") is None and more.last("Kube", "Yaml") is not None
    restart = more.last("Service", "Restart")
    assert restart is not None and (restart.source, restart.line) == ("/x.kube.d/a.conf", 4)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"Yaml=a\n", 1, "before the first section"),
        (b"[Kube]\n\nnonsense\n", 3, "missing '='"),
        (b"[Kube\nYaml=a\n", 1, "no [Section]"),
        (b"[]\n", 1, "no [Section]"),
        (b"[Kube]\n=a\n", 2, "no key"),
        (b"[Kube]\nYaml=\x1b[0m\n", 2, "control characters"),
        (b"[Kube]\nYaml=\0\n", 2, "control characters"),
        (b"[Kube]\nYaml=\xff\n", 2, "not UTF-8"),
    ],
)
def test_what_is_no_unit_file(data: bytes, line: int, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        unitfile.parse(data, "/x.kube")
    assert (caught.value.faults[0].line, caught.value.faults[0].source) == (line, "/x.kube")
    assert says in caught.value.faults[0].message


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(InvalidInput, match="larger"):
        unitfile.parse(b"#" * (unitfile.MAX_BYTES + 1), "/x.kube")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("\"a b\" c'd e'", ["a b", "cd e"]),
        (r"a\sb \x41\102\u00e9", ["a b", "ABé"]),
        ('"say \\"hi\\"" \'it"s\'', ['say "hi"', 'it"s']),
        ('"" x', ["", "x"]),
        ("%i ${HOME} $x", ["%i", "${HOME}", "$x"]),
    ],
)
def test_words(value: str, words: list[str]) -> None:
    assert unitfile.words([setting(value)]) == words


@pytest.mark.parametrize("value", ['"open', "a\\", r"\q", r"\x4", r"\x00", r"\777", r"\xzz"])
def test_what_is_no_word(value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        unitfile.words([setting(value)])
    assert caught.value.faults[0].line == 3


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12), max_size=4))
def test_words_are_read_as_they_were_quoted(words: list[str]) -> None:
    line = " ".join(map(unitfile.quoted, words))
    assert "\n" not in line and "\r" not in line
    assert unitfile.words([setting(line)]) == words


@given(st.binary(max_size=300))
def test_any_bytes_are_settings_or_faults(data: bytes) -> None:
    try:
        unit = unitfile.parse(b"[Kube]\n" + data, "/x.kube")
        unitfile.words(list(unit.settings))
    except InvalidInput as error:
        assert error.faults


@pytest.mark.parametrize(("value", "is_true"), [("yes", True), ("ON", True), ("1", True), ("t", True), ("no", False), ("0", False)])
def test_booleans(value: str, is_true: bool) -> None:
    assert unitfile.boolean(setting(value), not is_true) is is_true


def test_no_boolean() -> None:
    assert unitfile.boolean(None, True) is True
    with pytest.raises(InvalidInput):
        unitfile.boolean(setting("maybe"), True)
