"""Files that change while a pod runs (VO5, DA4): `play kube --update`, with and without a supervisor, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.errors import AlreadyExists, Conflict
from kubeplay.plan.stack import ObjectKey
from kubeplay.play import lifecycle, update
from kubeplay.play.down import down
from kubeplay.reconcile import services
from kubeplay.reconcile.model import FILES
from kubeplay.reconcile.pod import reconcile
from tests.support.root import Root

pytestmark = [pytest.mark.root, pytest.mark.slow]

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: %s, %s: x}
---
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {password: %s}
---
"""
OPTIONAL = """
apiVersion: v1
kind: ConfigMap
metadata: {name: later}
data: {l: came}
---
"""
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: live
  labels: {version: "%s"}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - {name: c, configMap: {name: conf}}
  - {name: s, secret: {secretName: hidden, defaultMode: 0400}}
  - {name: l, configMap: {name: later, optional: true}}
  - name: p
    projected:
      sources:
      - configMap: {name: conf, items: [{key: a, path: deep/a}]}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
  containers:
  - name: main
    image: busybox:1
    command: [sleep, "1000"]
    env: [{name: A, valueFrom: {configMapKeyRef: {name: conf, key: a}}}]
    volumeMounts:
    - {name: c, mountPath: /c}
    - {name: s, mountPath: /s}
    - {name: l, mountPath: /l}
    - {name: p, mountPath: /p}
    - {name: c, mountPath: /sub, subPath: a}
"""
TOKEN_POD = """
apiVersion: v1
kind: Pod
metadata: {name: live}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 600}}]}}]
  containers: [{name: main, image: "busybox:1", command: [sleep, "1000"], volumeMounts: [{name: t, mountPath: /t}]}]
"""
FIRST = CONFIG % ("one", "old") + SECRET % "first" + POD % "1"
SECOND = CONFIG % ("two", "new") + SECRET % "second" + POD % "2"


@pytest.fixture
def live(root: Root) -> Iterator[Root]:
    root.play(FIRST)
    yield root


def inside(root: Root, path: str) -> str:
    """What a file in the container says, read from the host; "" of one that goes just now."""
    row = root.rows("live")[-1]
    try:
        return Path(f"/proc/{row.pid}/root/{path}").read_text()
    except FileNotFoundError:
        return ""


def names(root: Root, path: str) -> set[str]:
    return {p.name for p in Path(f"/proc/{root.rows('live')[-1].pid}/root/{path}").iterdir() if not p.name.startswith("..")}


def test_vo5_da4_an_update_shows_in_the_files_when_the_command_returns(live: Root) -> None:
    before = live.rows("live")
    result = live.play(SECOND, update=True)
    assert {key.kind for key in result.updated} == {"ConfigMap", "Secret", "Pod"} and not result.unchanged
    assert inside(live, "c/a") == "two" and inside(live, "s/password") == "second" and inside(live, "p/deep/a") == "two"
    assert inside(live, "p/labels") == 'version="2"'
    assert names(live, "c") == {"a", "new"}
    assert inside(live, "sub") == "one"  # VO5: a subPath never changes
    environment = Path(f"/proc/{live.rows('live')[-1].pid}/environ").read_bytes()
    assert b"A=one\0" in environment  # EN6
    assert [row.id for row in live.rows("live")] == [row.id for row in before]
    assert live.play(SECOND, update=True).unchanged
    assert live.engine.store.runtime.pod(live.uid("live")).wake_at is None


def test_vl9_metadata_alone_is_no_new_generation(live: Root) -> None:
    key = ObjectKey("Pod", "default", "live")
    other = FIRST.replace('version: "1"', 'version: "3"')
    live.play(other, update=True)
    assert live.engine.store.objects.get(key).generation == 1
    live.play(other.replace("terminationGrace", "activeDeadlineSeconds: 900\n  terminationGrace"), update=True)
    assert live.engine.store.objects.get(key).generation == 2


def test_ep1_a_service_follows_changed_labels(live: Root) -> None:
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {version: '1'}, ports: [{port: 80}]}\n"

    def endpoints() -> int:
        route = next(r for r in services.routes(live.engine) if r.service.name == "web")
        return sum(map(len, route.endpoints))

    live.play(FIRST + service)
    live.wait(lambda: endpoints() == 1)
    live.play(FIRST.replace('version: "1"', 'version: "3"') + service, update=True)
    assert endpoints() == 0


def test_vo3_an_optional_object_that_comes_and_goes(live: Root) -> None:
    """What a command does to pods of others is done when it returns, unless somebody holds the pod for long: hence the waiting."""
    key = ObjectKey("ConfigMap", "default", "later")
    assert names(live, "l") == set()
    live.play(OPTIONAL)
    live.wait(lambda: names(live, "l") == {"l"} and inside(live, "l/l") == "came")
    down(live.engine, [key])
    live.wait(lambda: names(live, "l") == set())
    update.put(live.engine, live.stack(OPTIONAL).objects[0])
    live.wait(lambda: names(live, "l") == {"l"})
    update.take(live.engine, key)
    live.wait(lambda: names(live, "l") == set())


def test_vo5_a_required_object_that_goes_leaves_its_files(live: Root) -> None:
    down(live.engine, [ObjectKey("ConfigMap", "default", "conf")])
    assert inside(live, "c/a") == "one"
    live.play(CONFIG % ("back", "old"))
    live.wait(lambda: inside(live, "c/a") == "back")


@pytest.mark.parametrize(("old", "new", "said"), [
    ("sleep", "sleep-more", "spec.containers[0].command[0]"), ("mountPath: /l}", "mountPath: /m}", "volumeMounts"),
    ("data: {a: one", "immutable: true\ndata: {a: one", ""),
])  # fmt: skip
def test_vl6_other_changes_are_refused_and_nothing_is_touched(live: Root, old: str, new: str, said: str) -> None:
    if not said:
        live.play(FIRST.replace(old, new), update=True)
        new, said = new.replace("one", "changed"), "immutable"
    with pytest.raises(Conflict, match=r"cannot be changed") as caught:
        live.play(FIRST.replace(old, new).replace("first", "second"), update=True)
    assert said in str(caught.value) and "--replace" in caught.value.hint
    assert inside(live, "s/password") == "first"


@pytest.mark.parametrize("point", ["play:stored", "live:written"])
def test_vo5_what_a_killed_update_left_is_done_by_the_next_that_looks(live: Root, point: str) -> None:
    """The mark is in the store: the supervisor that the next command starts finds it due."""
    killed = live.command("play", SECOND, "update=yes", KUBEPLAY_FAULT=point)
    assert killed.returncode == -9
    assert inside(live, "c/a") == ("one" if point == "play:stored" else "two")
    live.play(OPTIONAL.replace("later", "other"))
    live.wait(lambda: inside(live, "c/a") == "two" and inside(live, "p/labels") == 'version="2"')


def test_vo5_an_object_that_is_created_anew_shows_too(live: Root) -> None:
    planned = live.stack(SECRET % "by command").objects[0]
    with pytest.raises(AlreadyExists):
        update.put(live.engine, planned)
    update.put(live.engine, planned, replace=True)
    live.wait(lambda: inside(live, "s/password") == "by command")


def test_vo6_a_token_is_renewed_when_its_time_has_come(root: Root) -> None:
    root.play(TOKEN_POD)
    uid, row = root.uid("live"), root.engine.store.runtime.backoffs(root.uid("live"))[FILES]
    assert 400 < row.delay <= 480  # 80 % of 600 seconds
    assert root.engine.store.runtime.pod(uid).wake_at == pytest.approx(row.since + row.delay)
    first = inside(root, "t/..data/token")
    with root.engine.store.write() as db:  # a pod that was made 500 seconds ago is in its second period
        root.engine.store.runtime.set_backoff(row._replace(since=0.0))
        db.execute("UPDATE objects SET created=created-500 WHERE uid=?", (uid,))
    reconcile(root.engine, uid)
    assert inside(root, "t/..data/token") != first
    assert root.engine.store.runtime.backoffs(uid)[FILES].since > row.since
    lifecycle.stop_pods(root.engine, [uid])
    assert root.engine.store.runtime.pod(uid).wake_at is None  # nobody waits for a pod that has ended


def test_rb7_another_image_restarts_its_container_and_it_sees_the_new_subpath(live: Root) -> None:
    live.play((CONFIG % ("two", "new") + FIRST.split("---", 1)[1]).replace("image: busybox:1", "image: entry:1"), update=True)
    assert [row.image for row in live.rows("live")] == ["busybox:1", "entry:1"]
    assert live.container("live")["restartCount"] == 1 and inside(live, "sub") == "two"
