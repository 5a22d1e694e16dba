"""What a sync does next, as a table; and what is remembered of failures."""

from __future__ import annotations

import pytest

from kubeplay.sync import decide, model
from kubeplay.sync.decide import BRING, FIRST, HEAL, LIMIT, MOST, REST, Seen
from kubeplay.sync.model import APPLY, BUILD, SOURCE, Error, Spec, Status

SPEC = Spec("shop", model.DIRECTORY, "/srv/shop", "/srv/shop")


def _failed(stage: str, revision: str, times: int = 1, when: float = 100.0) -> Error:
    return Error(stage, revision, "no", times, when)


@pytest.mark.parametrize(
    ("status", "seen", "now", "action"),
    [
        (Status(), Seen("a"), 100.0, BRING),  # nothing runs yet
        (Status(), Seen(""), 100.0, REST),  # the source could not be asked
        (Status(applied="a"), Seen("a"), 100.0, REST),
        (Status(applied="a"), Seen("b"), 100.0, BRING),
        (Status(applied="a"), Seen("a", begun=True), 100.0, BRING),  # as `play` does: pods may have been stopped, or lost with a reboot
        (Status(applied="a"), Seen("", begun=True), 100.0, HEAL),
        (Status(), Seen("", begun=True), 100.0, REST),
        (Status(applied="a"), Seen("a", drifted=True), 100.0, HEAL),
        (Status(applied="a"), Seen("", drifted=True), 100.0, HEAL),  # a source out of reach does not keep us from healing
        (Status(applied="a"), Seen("b", drifted=True), 100.0, BRING),  # the newest state heals as well
        # a bad revision rests until its time, and what runs is healed meanwhile
        (Status(applied="a", failures=(_failed(APPLY, "b"),)), Seen("b"), 100.0 + FIRST / 2, REST),
        (Status(applied="a", failures=(_failed(APPLY, "b"),)), Seen("b", drifted=True), 100.0 + FIRST / 2, HEAL),
        (Status(applied="a", failures=(_failed(APPLY, "b"),)), Seen("b"), 100.0 + FIRST, BRING),
        (Status(applied="a", failures=(_failed(APPLY, "b", LIMIT),)), Seen("b"), 100.0 + MOST, BRING),
        # it was tried often enough: only another revision is worth a try
        (Status(applied="a", failures=(_failed(APPLY, "b", LIMIT + 1),)), Seen("b"), 1e9, REST),
        (Status(applied="a", failures=(_failed(APPLY, "b", LIMIT + 1),)), Seen("c"), 100.0, BRING),
        # an invalid one touches nothing, so it is read again for ever: what it lacks may come
        (Status(applied="a", failures=(_failed(BUILD, "b", 50),)), Seen("b"), 100.0 + MOST, BRING),
        (Status(applied="a", failures=(_failed(BUILD, "b", 50),)), Seen("b"), 100.0 + MOST - 1, REST),
        # healing that fails goes slowly too
        (Status(applied="a", failures=(_failed(APPLY, "a", 2),)), Seen("a", drifted=True), 100.0 + FIRST, REST),
        (Status(applied="a", failures=(_failed(APPLY, "a", 2),)), Seen("a", drifted=True), 100.0 + 2 * FIRST, HEAL),
    ],
)
def test_what_is_next(status: Status, seen: Seen, now: float, action: str) -> None:
    assert decide.decide(status, seen, now) == action


def test_waits_double_up_to_argos_three_minutes() -> None:
    assert [decide.delay(times) for times in (1, 2, 3, 4, 5, 6, 7, 60)] == [5, 10, 20, 40, 80, 160, 180, 180]


def test_the_same_failure_again_counts_up_and_another_begins_anew() -> None:
    status = decide.failed(Status(applied="a"), APPLY, "b", "x", 1.0)
    status = decide.failed(status, APPLY, "b", "y", 2.0)
    assert status.error == Error(APPLY, "b", "y", 2, 2.0) and status.applied == "a"
    assert decide.failed(status, APPLY, "c", "y", 3.0).error == Error(APPLY, "c", "y", 1, 3.0)
    away = decide.failed(decide.failed(status, SOURCE, "", "gone", 3.0), SOURCE, "", "gone", 4.0)
    assert away.error == Error(SOURCE, "", "gone", 2, 4.0)
    assert decide.failed(away, APPLY, "b", "z", 5.0).error == Error(APPLY, "b", "z", 3, 5.0)  # what failed is not forgotten meanwhile
    healing = decide.failed(away, APPLY, "a", "no", 6.0)
    assert [(one.revision, one.times) for one in healing.failures] == [("b", 2), ("a", 1)]
    assert decide.kept(healing, "b").error == Error(APPLY, "b", "y", 2, 2.0) and decide.kept(healing).error is None


@pytest.mark.parametrize(
    ("status", "due"),
    [
        (Status(), 1000.0),
        (Status(looked=990.0), 1050.0),
        (Status(looked=900.0), 1000.0),
        (Status(looked=995.0, error=_failed(SOURCE, "", 1)), 1000.0),
        (Status(looked=995.0, error=_failed(SOURCE, "", 3)), 1015.0),
        (Status(looked=995.0, error=_failed(SOURCE, "", 30)), 1055.0),  # never later than the interval
        (Status(looked=995.0, error=_failed(APPLY, "b")), 1055.0),  # a bad revision is no reason to ask for another sooner
        (Status(looked=5000.0), 1000.0),  # the clock was set back
    ],
)
def test_when_the_source_is_asked(status: Status, due: float) -> None:
    assert decide.due(SPEC, status, 1000.0) == due


def test_what_outlives_the_process_and_what_does_not() -> None:
    spec = SPEC._replace(source="https://me:secret@host/x.git", shown="https://***@host/x.git", tag="v1")
    status = Status(
        "b", "a", 1.0, 2.0, Error(APPLY, "b", "no", 3, 4.0), (Error(APPLY, "b", "no", 3, 4.0),), ("Pod: gone",), 2, ("Pod/default/x",)
    )
    text = model.dumps(spec, status)
    assert "secret" not in text
    assert model.loads(text, "f") == (spec._replace(source=spec.shown), status)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"spec": {}, "status": {}}', '{"spec": 3, "status": 4}', "{" * 10000])
def test_a_damaged_file_is_named(text: str) -> None:
    with pytest.raises(model.StoreError, match=r"status\.json"):
        model.loads(text, "/x/status.json")


def test_a_newer_version_may_know_more() -> None:
    text = model.dumps(SPEC, Status()).replace('"spec": {', '"spec": {"colour": "red",').replace('"status": {', '"status": {"mood": 1,')
    assert model.loads(text, "f") == (SPEC, Status())


@pytest.mark.parametrize(
    ("source", "path", "name"),
    [
        ("/srv/shop", "", "shop"), ("/srv/Shop_2/", ".", "shop-2"), ("https://host/team/shop.git", "apps/web/", "shop-web"),
        ("git@host:team/shop.git", "", "shop"), ("oci://host:5000/team/shop:1.0", "", "shop"),
        ("oci://host:5000/shop@sha256:aa", "", "shop"), ("/", "", "sync"),
        ("/srv/" + "x" * 80, "", "x" * 53),
    ],
)  # fmt: skip
def test_a_name_from_the_source(source: str, path: str, name: str) -> None:
    assert model.name_for(source, path) == name
    assert model.named(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "..", "x" * 54, "a\n"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(model.InvalidInput):
        model.named(name)
