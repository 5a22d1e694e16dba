"""What is tried again, and how long."""

from __future__ import annotations

import threading
import time

import pytest

from kubeplay.engine.images.registry import client
from kubeplay.errors import KubeplayError, RegistryError
from tests.support.hostile_registry import (
    Hostile,
    Image,
    hang_up,
    says,
)
from tests.unit.registry.asking import LAYER, PLAIN, everything, layer, source


# trying again
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_overload_is_waited_for(bad: Hostile, image: Image, status: int) -> None:
    bad.on("GET .*/manifests/.*", says(status), times=2)
    bad.on(f"GET .*{image.layers[0]}", says(status), times=1)
    with source(bad) as there:
        there.manifest()
        assert everything(there, layer(image)) == LAYER


def test_a_lost_connection_is_tried_again(bad: Hostile, image: Image) -> None:
    bad.on("GET .*/manifests/.*", hang_up, times=3)
    with source(bad) as there:
        there.manifest()


def test_it_ends(bad: Hostile) -> None:
    bad.on("GET .*/manifests/.*", says(503, b'{"errors": [{"code": "BUSY", "message": "come\\u0007 later"}]}'))
    with source(bad) as there, pytest.raises(RegistryError, match=r"BUSY: come  later \(HTTP 503\)") as caught:
        there.manifest()
    assert caught.value.status == 503 and len(bad.asked("GET .*/manifests/.*")) == 4


def test_waiting_as_long_as_asked(bad: Hostile, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    bad.on("GET .*/manifests/.*", says(429, Retry_After="7"), times=1)
    bad.on("GET .*/manifests/.*", says(503), times=2)
    client_ = client.Client(bad.address, PLAIN._replace(retry_delay=0), True)
    monkeypatch.setattr(client_._closed, "wait", lambda seconds=None: waits.append(seconds or 0) or False)
    try:
        client_.document("/v2/team/app/manifests/1", 1 << 20, "it")
    finally:
        client_.close()
    assert [one for one in waits if one >= 1] == [7.0, 2.0, 4.0]


def test_who_asks_for_hours_is_told_to_the_person(bad: Hostile) -> None:
    bad.on("GET .*/manifests/.*", says(429, Retry_After="7200"))
    with source(bad) as there, pytest.raises(RegistryError, match="429"):
        there.manifest()
    assert len(bad.asked("GET .*/manifests/.*")) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_what_does_not_change_is_not_tried_again(bad: Hostile, status: int) -> None:
    bad.on("GET .*/manifests/.*", says(status))
    with source(bad) as there, pytest.raises(KubeplayError):
        there.manifest()
    assert len(bad.asked("GET .*/manifests/.*")) == 1


def test_closing_ends_the_waits_of_others(bad: Hostile) -> None:
    bad.on("GET .*/manifests/.*", says(503))
    known = client.Client(bad.address, PLAIN._replace(retry_delay=3600), True)
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            known.document("/v2/team/app/manifests/1", 100, "it")
        except KubeplayError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not bad.asked("GET .*/manifests/.*"):
        time.sleep(0.002)
    known.close()
    thread.join(300)
    assert not thread.is_alive() and "given up" in str(failures[0])
    with pytest.raises(KubeplayError, match="given up"):
        known.document("/v2/team/app/manifests/1", 100, "it")
