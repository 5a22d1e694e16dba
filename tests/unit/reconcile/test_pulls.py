"""Whom a pull goes as, how often, and for how long its result counts."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from kubeplay.errors import ImageError, Interrupted, KubeplayError, NotFound, RegistryError, Unauthorized
from kubeplay.kube.pull_secrets import Credential
from kubeplay.reconcile import pulls
from kubeplay.reconcile.images import Wanted
from kubeplay.reconcile.pulls import FAILED, FRESH, Flags, Pulls


class Engine:
    """What Pulls asks of one: a clock, and the size of an image."""

    class Store:
        images: Any = property(lambda self: self)

        def get(self, image_id: str) -> None:
            return None

    def __init__(self) -> None:
        self.now, self.clock, self.store = 100.0, self, self.Store()

    def monotonic(self) -> float:
        return self.now


class Registry:
    """In place of pulls.bring: an answer for each user, and what it was asked."""

    def __init__(self, **answers: KubeplayError | str) -> None:
        self.answers, self.asked, self.retries = answers, list[str](), list[int]()

    def __call__(self, engine: object, name: str, flags: Flags, credential: Credential | None, progress: object) -> str:
        user = credential.username if credential else "own"
        self.asked.append(user)
        self.retries.append(flags.retry)
        answer = self.answers[user]
        if isinstance(answer, KubeplayError):
            raise answer
        return answer


SECRET = {"auths": {"r.io/a": {"username": "first", "password": "x"}, "r.io": {"username": "second", "password": "x"},
                    "other.io": {"username": "third", "password": "x"}}}  # fmt: skip
WANT = Wanted("r.io/a/b:1", "IfNotPresent", True, "default", ("s", "gone"), "r.io/a/b:1")


def made(monkeypatch: pytest.MonkeyPatch, registry: Registry) -> tuple[Pulls, Engine]:
    engine = Engine()
    known = Pulls(engine)  # type: ignore[arg-type]
    body = json.dumps({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": json.dumps(SECRET)}})
    known.secrets = lambda namespace, name: body if name == "s" else None
    monkeypatch.setattr(pulls, "bring", registry)
    return known, engine


REFUSED = Unauthorized("no", 401)


@pytest.mark.parametrize(
    ("registry", "asked", "error"),
    [
        (Registry(first="id"), ["first"], ""),
        (Registry(first=REFUSED, second="id"), ["first", "second"], ""),
        (Registry(first=NotFound("none"), second=RegistryError("denied", 403), own="id"), ["first", "second", "own"], ""),
        (Registry(first=REFUSED, second=NotFound("none"), own=NotFound("none")), ["first", "second", "own"], "no"),
        (Registry(first=RegistryError("down", 503)), ["first"], "down"),
        (Registry(first=RegistryError("unreachable")), ["first"], "unreachable"),
    ],
)
def test_every_credential_that_fits_is_tried(monkeypatch: pytest.MonkeyPatch, registry: Registry, asked: list[str], error: str) -> None:
    known, _ = made(monkeypatch, registry)
    known.run([WANT])
    result = known.result(WANT)
    assert result is not None and registry.asked == asked and result.missing == ("gone",)
    assert error in result.error.message if result.error else not error and result.image_id == "id"


def test_creds_of_the_command_line_win(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(own="id")
    known, _ = made(monkeypatch, registry)
    known.flags = Flags(creds="me:pw")
    known.run([WANT])
    assert registry.asked == ["own"]


def test_nobody_waits_long_for_what_there_is_a_spare_of(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(own=RegistryError("away"))
    known, _ = made(monkeypatch, registry)
    known.flags = Flags(retry=3)
    known.run([WANT._replace(secrets=()), WANT._replace(secrets=(), name="r.io/c:1", spare=True)])
    assert sorted(registry.retries) == [0, 3]


def test_how_long_a_result_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    known, engine = made(monkeypatch, Registry(first="id"))
    assert known.result(WANT) is None
    known.run([WANT, WANT])
    engine.now += FRESH - 1
    assert known.result(WANT) is not None and known.brought(WANT.image) is not None and known.brought(WANT.image) is None
    engine.now += 2
    assert known.result(WANT) is None
    monkeypatch.setattr(pulls, "bring", Registry(first=RegistryError("down", 500)))
    known.run([WANT])
    engine.now += FAILED - 1
    found = known.result(WANT)
    assert found is not None and isinstance(found.error, ImageError) and found.error.reason == "RegistryUnavailable"
    engine.now += 2
    assert known.result(WANT) is None


def test_what_was_built_is_asked_for_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    known, _ = made(monkeypatch, Registry())
    known.built(WANT.image)
    assert known.result(WANT) is not None


def test_an_interrupt_is_no_failure_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    known, _ = made(monkeypatch, Registry(first=Interrupted("interrupted")))
    with pytest.raises(Interrupted):
        known.run([WANT])
    assert known.result(WANT) is None


def test_one_pull_serves_all_who_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, leave = threading.Event(), threading.Event()
    calls: list[str] = []

    def slow(*_: object) -> str:
        calls.append("pull")
        begun.set()
        assert leave.wait(60)
        return "id"

    known, _ = made(monkeypatch, Registry())
    monkeypatch.setattr(pulls, "bring", slow)
    workers = [threading.Thread(target=known.run, args=([WANT],)) for _ in range(3)]
    workers[0].start()
    assert begun.wait(60)
    for worker in workers[1:]:
        worker.start()
    leave.set()
    for worker in workers:
        worker.join()
    assert known.result(WANT) is not None and calls == ["pull"]
