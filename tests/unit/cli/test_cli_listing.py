"""Tables, filters, order, times, sizes, moments: what every listing prints."""

from __future__ import annotations

import json

import pytest

from kubeplay.cli import human, image, listing, moments, table
from kubeplay.cli.listing import Column, Listing, Look
from kubeplay.errors import InvalidInput

RECORDS = [
    {"ID": "b2", "Name": "web", "Size": "3 kB", "_Size": 3000, "Labels": {"app": "web", "tier": "front"}},
    {"ID": "a1", "Name": "data", "Size": "20 B", "_Size": 20, "Labels": {"app": "db"}},
]
LISTING = Listing(
    (Column("ID", "ID"), Column("NAME", "Name"), Column("SIZE", "Size", True)),
    "ID",
    {"name": listing.contains("Name"), "label": listing.label, "id": listing.prefix("ID")},
)


def shown(capsys: pytest.CaptureFixture[str], **look: object) -> str:
    listing.show(LISTING, RECORDS, Look(**look))  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == "ID          NAME\nb2          web\na1          data\n"
    assert shown(capsys, noheading=True, sort="name") == "a1          data\nb2          web\n"
    assert "3 kB" in shown(capsys, format="wide")


def test_quiet_json_and_templates(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, quiet=True) == "b2\na1\n"
    assert shown(capsys, quiet=True, format="{{.Name}}") == "web\ndata\n"
    made = json.loads(shown(capsys, format="json"))
    assert [one["Name"] for one in made] == ["web", "data"]
    assert "_Size" not in made[0]
    assert shown(capsys, format=r"table {{.Name}}\t{{.Size}}") == "NAME        SIZE\nweb         3 kB\ndata        20 B\n"
    assert shown(capsys, format="{{json .Labels}}") == '{"app":"web","tier":"front"}\n{"app":"db"}\n'


def test_filters(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, quiet=True, filters=("name=^we",)) == "b2\n"
    assert shown(capsys, quiet=True, filters=("name=web", "name=data")) == "b2\na1\n"
    assert shown(capsys, quiet=True, filters=("label=app", "label=tier=front")) == "b2\n"
    assert shown(capsys, quiet=True, filters=("label!=tier",)) == "a1\n"
    assert shown(capsys, quiet=True, filters=("id=a", "name=web")) == ""


@pytest.mark.parametrize("bad", ["name", "nosuch=1", "name=("])
def test_bad_filters(bad: str) -> None:
    with pytest.raises(InvalidInput, match="filter"):
        listing.filtered(LISTING, RECORDS, [bad])


def test_sorting_goes_by_value_not_by_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, quiet=True, sort="size") == "a1\nb2\n"
    with pytest.raises(InvalidInput, match="nosuch"):
        shown(capsys, sort="nosuch")


def test_a_hostile_value_cannot_drive_the_terminal() -> None:
    text = table.render(["A", "B"], [["\x1b[2Jx\ny", "z"]])
    assert "\x1b" not in text and text.count("\n") == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (150, "2 minutes"), (3599, "59 minutes"),
     (3600, "About an hour"),
     (7300, "2 hours"), (3 * 86400, "3 days"), (20 * 86400, "2 weeks"), (100 * 86400, "3 months"), (800 * 86400, "2 years"),
     (-5, "Less than a second")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert human.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (1_982_256, "1.98 MB"), (206_000_000, "206 MB"), (2.5e12, "2.5 TB")]
)
def test_sizes(count: float, text: str) -> None:
    assert human.size(count) == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("60s", 60), ("1m30s", 90), ("1.5h", 5400), ("250ms", 0.25), ("0", 0), ("2d", 172800)]
)
def test_typed_durations(text: str, seconds: float) -> None:
    assert human.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "1x", "1m30", "m1", "--", "1 s"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError):
        human.seconds(text)


def test_moments() -> None:
    now = 1_763_780_000.0
    assert moments.moment("10m", now) == now - 600
    assert moments.moment("45", now) == now - 45
    assert moments.moment("1763780000", now) == now
    assert moments.moment("2025-11-22T02:53:20Z", now) == now
    with pytest.raises(InvalidInput):
        moments.moment("yesterday", now)


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        ([], [""]),
        (["a/x:1", "a/x:2"], ["a/x:1", "a/x:2"]),
        (["a/x:1", "a/x@sha256:0"], ["a/x:1"]),
        (["a/x@sha256:0"], ["a/x@sha256:0"]),
        (["a/y:1", "a/x@sha256:0"], ["a/y:1", "a/x@sha256:0"]),
        (["h:5000/x:1", "h:5000/x@sha256:0"], ["h:5000/x:1"]),
    ],
)
def test_names_that_have_a_line_of_their_own(names: list[str], rows: list[str]) -> None:
    """As podman: a pull by digest adds no line beside a tag of the same repository."""
    assert image.rows_of(names) == rows
