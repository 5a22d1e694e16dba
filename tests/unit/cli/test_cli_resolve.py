"""Short names (cli/resolve.py): what they mean, and when they are refused as ambiguous."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, cast

import pytest

from kubeplay.cli import resolve
from kubeplay.cli.app import App
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.runtime import EXITED, RUN, RUNNING, ContainerRow, PodRow
from kubeplay.errors import Ambiguous, InvalidInput, NotFound
from kubeplay.plan import codec
from kubeplay.plan.container import ContainerPlan
from kubeplay.plan.pod import PodPlan, SandboxPlan


class Desk:
    """What resolve asks of an App."""

    def __init__(self, store: Store, namespace: str = "default") -> None:
        self.store, self.namespace, self.namespace_given = store, namespace, False


class World:
    def __init__(self, path: Path) -> None:
        self.store = Store(str(path / "root/state.db"))
        self.ids = 0

    def pod(
        self, name: str, *containers: str, namespace: str = "default", uid: str = "", prefix: bool = True, annotations: Any = ()
    ) -> str:
        uid = uid or str(uuid.uuid4())
        plans = tuple(ContainerPlan(c, "i:1") for c in containers)
        made = PodPlan(namespace, name, SandboxPlan(name), plans, container_prefix=prefix, annotations=annotations)
        self.store.runtime.add_pod(PodRow(uid, namespace, name, codec.dumps(made), RUN, True, None, 0, True))
        for container in containers:
            self.instance(uid, container)
        return uid

    def instance(self, uid: str, name: str, attempt: int = 0, state: str = RUNNING, id: str = "") -> str:
        self.ids += 1
        id = id or f"{self.ids:04x}" + uuid.uuid4().hex + "0" * 28
        self.store.runtime.add_container(ContainerRow(id, uid, "s", name, "app", attempt, state, "b", 1, 1, "i:1", "sha256:0", 0.0))
        return id

    def app(self, namespace: str = "default") -> App:
        return cast(App, Desk(self.store, namespace))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_container_by_each_of_its_names(world: World) -> None:
    world.pod("web", "app", "side")
    for name in ("web-app", "web/app", "default/web-app", "default/web/app"):
        assert resolve.container(world.app(), name).name == "app"
    assert resolve.container(world.app(), "web", "side").name == "side"
    assert resolve.container(world.app("other"), "default/web-side").name == "side"


def test_a_pod_s_name_alone_means_its_first_app_container(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.pod("web", "app", "side")
    assert resolve.container(world.app(), "web").name == "app"
    assert resolve.container(world.app(), "pod/web").name == "app"
    assert "Defaulted container 'app' out of: app, side" in capsys.readouterr().err
    world.pod("chosen", "a", "b", annotations=(("kubectl.kubernetes.io/default-container", "b"),))
    assert resolve.container(world.app(), "chosen").name == "b"


def test_the_newest_instance_counts(world: World) -> None:
    uid = world.pod("web", "app")
    world.instance(uid, "app", 1, EXITED)
    last = world.instance(uid, "app", 2)
    found = resolve.container(world.app(), "web-app").container
    assert found is not None and found.id == last


def test_ids_and_the_start_of_them(world: World) -> None:
    uid = world.pod("web", "app", uid="1f0c2a34-5b6d-4000-8000-000000000000")
    world.instance(uid, "app", 1, id="abc123" + "0" * 58)
    assert resolve.container(world.app(), "abc123").name == "app"
    assert resolve.pod(world.app(), "1f0c2a34").name == "web"
    assert resolve.pod(world.app(), "1f0c2a345b6d").name == "web"
    assert resolve.pod(world.app("elsewhere"), "1f0c2a34-5b6d").name == "web"
    with pytest.raises(NotFound):
        resolve.pod(world.app(), "1f")


def test_ambiguous_ids(world: World) -> None:
    world.pod("one", "a", uid="aaaa1111-0000-4000-8000-000000000000")
    two = world.pod("two", "b", uid="aaaa2222-0000-4000-8000-000000000000")
    with pytest.raises(Ambiguous, match="default/one, default/two"):
        resolve.pod(world.app(), "aaaa")
    world.instance(two, "b", 1, id="fff" + "1" * 61)
    world.pod("three", "c", uid="bbbb2222-0000-4000-8000-000000000000")
    world.instance("bbbb2222-0000-4000-8000-000000000000", "c", 1, id="fff" + "2" * 61)
    with pytest.raises(Ambiguous, match="several containers"):
        resolve.container(world.app(), "fff")


def test_two_pods_may_make_one_container_name(world: World) -> None:
    world.pod("a", "b-c")
    world.pod("a-b", "c")
    with pytest.raises(Ambiguous, match="default/a/b-c, default/a-b/c"):
        resolve.container(world.app(), "a-b-c")
    assert resolve.container(world.app(), "a-b/c").pod.name == "a-b"


def test_a_pod_called_like_a_container_is_ambiguous(world: World) -> None:
    world.pod("a", "b")
    world.pod("a-b", "c")
    with pytest.raises(Ambiguous, match="a pod and a container"):
        resolve.container(world.app(), "a-b")
    assert resolve.container(world.app(), "a/b").name == "b"
    assert resolve.container(world.app(), "pod/a-b").name == "c"


def test_a_namespace_called_like_a_pod(world: World) -> None:
    world.pod("web", "app")
    world.pod("x", "y", namespace="web")
    assert resolve.container(world.app(), "web/app").pod.namespace == "default"
    assert resolve.container(world.app(), "web/x-y").pod.namespace == "web"


def test_no_pod_prefix(world: World) -> None:
    world.pod("web", "plain", prefix=False)
    assert resolve.container(world.app(), "plain").name == "plain"
    with pytest.raises(NotFound):
        resolve.container(world.app(), "web-plain")


def test_not_found_says_where_it_is(world: World) -> None:
    world.pod("web", "app", namespace="team")
    with pytest.raises(NotFound, match="default") as error:
        resolve.pod(world.app(), "web")
    assert "-n team" in error.value.hint
    with pytest.raises(NotFound) as missing:
        resolve.container(world.app("team"), "web", "nope")
    assert "containers: app" in missing.value.hint
    with pytest.raises(InvalidInput):
        resolve.container(world.app(), "a/b/c/d")
    with pytest.raises(InvalidInput):
        resolve.pods(world.app(), [])
