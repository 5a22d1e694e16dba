"""How a compose file is read: YAML 1.2, variables, files of variables, merging, hostile texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeplay.convert import dotenv, reading
from kubeplay.convert.amounts import cpus, quantity, seconds, size
from kubeplay.convert.interpolate import Text, Unset
from kubeplay.errors import InvalidInput
from tests.support.compose import container, converted, notes, one, pod, service

VARIABLES = {"A": "a", "EMPTY": "", "N": "A"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain"),
        ("$A-${A}", "a-a"),
        ("$$A", "$A"),
        ("$$", "$"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NO-x}", "x"),
        ("${NO:-${EMPTY:-deep}}", "deep"),
        ("${A:+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${NO+yes}", ""),
        ("${NO}", ""),
        ("${A:?gone}", "a"),
        ("${NO:-a}b}", "ab}"),
        ("${NO:-$$x}", "$x"),
        ("${EMPTY?}", ""),
        ("${NO:-a:b-c?d+e}", "a:b-c?d+e"),
    ],
)
def test_variables(text: str, wanted: str) -> None:
    assert Text(VARIABLES).fill(text) == wanted


@pytest.mark.parametrize("text", ["$", "a $ b", "${", "${}", "${A", "${A!x}", "${1}", "$-", "${NO:-" * 30 + "}" * 30])
def test_what_is_no_variable(text: str) -> None:
    with pytest.raises(ValueError, match="variable|closed|deep"):
        Text(VARIABLES).fill(text)


def test_a_required_variable() -> None:
    with pytest.raises(Unset, match="required variable NO is missing a value: say a"):
        Text(VARIABLES).fill("${NO:?say ${A}}")


@given(st.text())
def test_dollar_signs_can_always_be_doubled(text: str) -> None:
    assert Text({}).fill(text.replace("$", "$$")) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),
        ("010", 8),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2024-01-01", "2024-01-01"),
        ("08", 8.0),
        ("-3", -3),
        ("0440", 288),
        ("1.2.3", "1.2.3"),
        (".", "."),
        ("-", "-"),
        ("+", "+"),
    ],
)
def test_plain_scalars(text: str, wanted: object) -> None:
    assert reading.plain(text) == wanted


@pytest.mark.parametrize(("value", "wanted"), [(1.1, "1.1"), (1000.0, "1000"), (True, "true"), (None, ""), (8, "8"), ("no", "no")])
def test_texts_of_scalars(value: object, wanted: str) -> None:
    assert reading.text_of(value) == wanted


def test_merge_keys_never_override() -> None:
    found = reading.read(b"a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  x: 3\n  <<: [*b, *a]\n", "f")
    assert found["c"] == {"x": 3, "y": 2, "z": 2}
    assert found["c"].place("z") == ("f", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "empty"),
        (b"- a", "a mapping"),
        (b"a: 1\na: 2", "given twice"),
        (b"a: 1\n---\nb: 2", "second document"),
        (b"a: *b", "stands for"),
        (b"a: !!python/object:os.system {}", "tag"),
        (b"? [a]\n: 1", "a key must be"),
        (b"a: " + b"[" * 5000, "levels deep"),
        (b"a: [", "expected"),
        (b"a: &a {<<: 3}", "takes a mapping"),
        (b"a: \xff", "utf"),
        (b"a: !foo x", "not one of compose's"),
        (b"a: &a [" + b"x," * 500 + b"x]\nb: &b [" + b"*a," * 500 + b"*a]\nc: [" + b"*b," * 500 + b"*b]", "more than 200000"),
    ],
)
def test_hostile_yaml(text: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        reading.read(text, "f")
    assert message.lower() in str(caught.value).lower()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        reading.read(data, "f")
    except InvalidInput:
        pass


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A=b", {"A": "b"}),
        ("export A=b", {"A": "b"}),
        ("A: b", {"A": "b"}),
        ("A='$x #'", {"A": "$x #"}),
        ('A="l\\n\\"$E"', {"A": 'l\n"e'}),
        ("A=b # c", {"A": "b"}),
        ("A=b#c", {"A": "b#c"}),
        ("A=", {"A": ""}),
        ("A", {}),
        ("E", {"E": "e"}),
        ("# c\n\nA=1\r\nB=2", {"A": "1", "B": "2"}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ("A=x\nB=${A}y", {"A": "x", "B": "xy"}),
        ('A="\\$E"', {"A": "$E"}),
        ("\ufeffA=1", {"A": "1"}),
        ("A.b-c=1", {"A.b-c": "1"}),
        ("A=${NO:-d}", {"A": "d"}),
    ],
)
def test_files_of_variables(text: str, wanted: dict[str, str]) -> None:
    assert dotenv.read(text.encode(), {"E": "e"}) == wanted


@pytest.mark.parametrize("text", ["A='x", 'A="x', "=x", "A='x' y", "A=1\0", "A B C=1", "A=${", "x" * ((1 << 20) + 1)])
def test_files_of_variables_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="line 1: "):
        dotenv.read(text.encode(), {})


def test_a_raw_file_is_taken_as_it_is() -> None:
    assert dotenv.read(b"A='$x' # y\n", {}, raw=True) == {"A": "'$x' # y"}


@pytest.mark.parametrize(
    ("text", "wanted"), [("64m", "64Mi"), ("1.5gb", "1536Mi"), ("512KB", "512Ki"), ("1000", "1000"), ("2GiB", "2Gi"), ("0", "0")]
)
def test_sizes(text: str, wanted: str) -> None:
    assert quantity(size(text)) == wanted


@pytest.mark.parametrize(("text", "wanted"), [("0.5", "500m"), ("2", "2"), (".25", "250m"), ("1.0005", "1001m"), ("1.", "1")])
def test_cpus(text: str, wanted: str) -> None:
    assert cpus(text) == wanted


@pytest.mark.parametrize(("text", "wanted"), [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("1h5m", 3900), ("15", 15), ("1.5s", 1.5)])
def test_durations(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (size, "big"),
        (size, "-1"),
        (size, "1x"),
        (cpus, ""),
        (cpus, "."),
        (cpus, "a"),
        (seconds, "soon"),
        (seconds, "1d"),
        (seconds, "99999999h"),
        (seconds, ""),
    ],
)
def test_amounts_that_are_none(how: object, text: str) -> None:
    with pytest.raises(ValueError):
        how(text)  # type: ignore[operator]


def test_the_environment_wins_over_the_projects_file() -> None:
    made = container("environment: {A: $A, B: $B}", files={".env": "A=file\nB=file\n"}, environ={"A": "outside"})
    assert made["env"] == [{"name": "A", "value": "outside"}, {"name": "B", "value": "file"}]


def test_a_variable_that_is_not_set_is_said() -> None:
    assert "the variable NO is not set: it is empty" in notes(service("hostname: a${NO}"))


def test_faults_are_told_all_at_once_with_their_lines() -> None:
    with pytest.raises(InvalidInput) as caught:
        converted("services:\n  web:\n    imag: x\n    ports: [a]\n    scale: many\n  db: {image: '${NO:?set it}'}\n")
    text = str(caught.value)
    assert "compose.yaml:3:1: services.web.imag: unknown field 'imag' (did you mean `image`?)" in text
    assert "compose.yaml:6:1: services.db.image: required variable NO is missing a value: set it" in text
    assert "services.web.ports[0]" in text


OVER = """
services:
  web:
    environment: [B=2, C=3]
    command: other
    ports: ["8443:443", "8080:80"]
    volumes: ["new:/data"]
    cap_add: [B]
    labels: !reset null
    dns: !override [9.9.9.9]
  new: {image: n}
volumes: {new: {}}
"""


def test_one_file_over_another() -> None:
    fields = """
environment: {A: 1, B: 1}
command: [first, words]
ports: ["8080:80"]
volumes: ["old:/data", "old:/keep"]
cap_add: [A]
labels: {a: b}
dns: [1.1.1.1]
"""
    made = service(fields, "volumes: {old: {}}", over=OVER)
    found = pod(made, "web")
    first = found["containers"][0]
    assert {entry["name"]: entry["value"] for entry in first["env"]} == {"A": "1", "B": "2", "C": "3"}
    assert first["args"] == ["other"]
    assert [port["containerPort"] for port in first["ports"]] == [80, 443]
    assert [mount["name"] for mount in first["volumeMounts"]] == ["new", "old"]
    assert first["securityContext"]["capabilities"]["add"] == ["A", "B"]
    assert found["dnsConfig"] == {"nameservers": ["9.9.9.9"]}
    assert "annotations" not in one(made, "Deployment", "web")["spec"]["template"]["metadata"]
    assert one(made, "Deployment", "new")


def test_a_service_that_extends_others() -> None:
    text = """
services:
  web:
    extends: {file: base/common.yaml, service: app}
    environment: {B: over}
"""
    other = """
services:
  app:
    extends: root
    environment: {A: app, B: app}
    volumes: ["./here:/here"]
  root: {image: root:1, environment: {C: root}}
"""
    found = pod(converted(text, {"base/common.yaml": other}))
    assert found["containers"][0]["image"] == "root:1"
    assert {e["name"]: e["value"] for e in found["containers"][0]["env"]} == {"A": "app", "B": "over", "C": "root"}
    assert found["volumes"][0]["hostPath"]["path"] == "/project/shop/base/here"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  a: {image: x, extends: b}\n  b: {extends: a}\n", "in a circle"),
        ("services:\n  a: {image: x, extends: no}\n", "no service 'no' to extend"),
        ("services:\n  a: {image: x, extends: {file: no.yaml, service: b}}\n", "no such file"),
        ("services: {}\n", "no services"),
        ("version: '3'\n", "no services"),
        ("include: [compose.yaml]\nservices: {a: {image: x}}\n", "includes itself"),
        ("include: ['https://evil/x.yaml']\nservices: {a: {image: x}}\n", "only files of this machine"),
        ("services: [a]\n", "must be a mapping"),
        ("services: {a: 3}\n", "must be a mapping"),
        ("services: {'###': {image: x}}\n", "a name needs"),
        ("services: {a_b: {image: x}, a-b: {image: x}}\n", "two services would be called a-b"),
        ("server: {}\nservices: {a: {image: x}}\n", "`services`"),
    ],
)
def test_projects_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        converted(text)
    assert message in str(caught.value)


def test_included_files_have_their_own_directory() -> None:
    text = "include: [sub/compose.yaml]\nservices: {web: {image: w, depends_on: [db]}}\n"
    made = converted(text, {"sub/compose.yaml": "services: {db: {image: 'db:${V}', env_file: .env}}\n", "sub/.env": "V=16\n"})
    assert pod(made, "db")["containers"][0]["image"] == "db:16"
    assert one(made, "ConfigMap")["data"] == {"V": "16"}


def test_profiles() -> None:
    text = "services:\n  web: {image: w}\n  tool: {image: t, profiles: [tools]}\n"
    assert "services.tool: left out: it is in profile tools (--profile)" in notes(converted(text))
    for options in ({"profiles": ("tools",)}, {"profiles": ("*",)}, {"environ": {"COMPOSE_PROFILES": "tools"}}):
        assert one(converted(text, **options), "Deployment", "tool")  # type: ignore[arg-type]
