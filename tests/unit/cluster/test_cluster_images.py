"""cluster/images: where images go, and files changed in the places of these names only."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeplay.cluster import images
from kubeplay.errors import InvalidInput
from kubeplay.kube import check

APP = """\
# our shop
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}   # localhost/web:1 is in a comment
spec:
  template:
    spec:
      initContainers: [{name: init, image: 'localhost/web:1', imagePullPolicy: Never}]
      containers:
      - name: web
        image: localhost/web:1 # localhost/web:1
      - image: "localhost/web:1-alpine"
        name: other
      - {name: cache, image: redis:7}
      volumes:
      - name: data
        image: {reference: localhost/data:2}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {image: localhost/web:1}
"""


def _rewritten(text: str, named: dict[str, str]) -> tuple[str, list[str]]:
    documents, faults = check.objects_of(text.encode(), "app.yaml")
    assert not faults
    found = list(images.uses(documents))
    written, notes = images.rewritten([("app.yaml", text.encode())], found, named)
    after, faults = check.objects_of(written[0][1], "app.yaml")
    assert not faults and images.checked(documents, after, found, named)
    return written[0][1].decode(), notes


@pytest.mark.parametrize(
    ("name", "registry", "expected"),
    [
        ("localhost/web:1", "registry.example/team", "registry.example/team/web:1"),
        ("localhost/shop/web", "registry.example", "registry.example/shop/web:latest"),
        ("web:dev", "localhost:5000", "localhost:5000/web:dev"),
        ("docker.io/library/redis:7", "registry.example/team/", "registry.example/team/redis:7"),
        ("quay.io/org/app@sha256:" + "a" * 64, "registry.example", "registry.example/org/app:latest"),
    ],
)
def test_targets(name: str, registry: str, expected: str) -> None:
    assert images.target(name, registry) == expected


@pytest.mark.parametrize("registry", ["team", "UPPER/x y", "docker://registry.example", ""])
def test_what_is_no_registry(registry: str) -> None:
    with pytest.raises(InvalidInput):
        images.target("localhost/web:1", registry)


def test_uses() -> None:
    documents, _ = check.objects_of(APP.encode(), "app.yaml")
    assert [(use.image, use.never) for use in images.uses(documents)] == [
        ("localhost/web:1", True), ("localhost/web:1", False), ("localhost/web:1-alpine", False), ("redis:7", False),
        ("localhost/data:2", False)]  # fmt: skip


def test_only_these_images_change() -> None:
    new = {"localhost/web:1": "registry.example/web:1@sha256:" + "b" * 64, "localhost/data:2": "registry.example/data:2"}
    text, notes = _rewritten(APP, new)
    changed = [(old, now) for old, now in zip(APP.split("\n"), text.split("\n"), strict=True) if old != now]
    assert [now.strip() for _, now in changed] == [
        f"initContainers: [{{name: init, image: '{new['localhost/web:1']}', imagePullPolicy: Never}}]",
        f"image: {new['localhost/web:1']} # localhost/web:1",
        "image: {reference: registry.example/data:2}"]  # fmt: skip
    assert notes == [f"app.yaml:8: imagePullPolicy: Never keeps nodes from pulling {new['localhost/web:1']}: leave it out"]


def test_advice_that_was_taken_goes() -> None:
    advice = "no registry has this image: nodes cannot pull it; push it to a registry: kubeplay kube push-images --to REGISTRY"
    line = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    image: localhost/web:1"
    new = {"localhost/web:1": "r.example/web:1"}
    assert _rewritten(f"{line}  # cluster: {advice}\n", new)[0].split("\n")[-2] == "    image: r.example/web:1"
    text = _rewritten(f"{line}  # cluster: {advice}. moves\n", new)[0]
    assert text.split("\n")[-2] == "    image: r.example/web:1  # cluster: moves"


def test_json_too() -> None:
    text = '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},\n "spec": {"containers": [{"name": "a",'
    text += ' "image": "localhost/web:1"}]}}'
    assert '"image": "r.example/web:1"' in _rewritten(text, {"localhost/web:1": "r.example/web:1"})[0]


@pytest.mark.parametrize(
    "image",
    ['"local\\x68ost/web:1"', ">-\n      localhost/web:1", "&a localhost/web:1\n  - {name: b, image: *a}"],
)
def test_what_cannot_be_changed_in_its_place_is_refused_or_right(image: str) -> None:
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n  - name: a\n    image: {image}\n"
    documents, faults = check.objects_of(text.encode(), "app.yaml")
    if faults:  # aliases
        return
    found, named = list(images.uses(documents)), {"localhost/web:1": "r.example/web:1"}
    try:
        written, _ = images.rewritten([("app.yaml", text.encode())], found, named)
    except InvalidInput as error:
        assert "app.yaml:" in str(error)
        return
    after, _ = check.objects_of(written[0][1], "app.yaml")
    right = [use.image for use in images.uses(after)] == ["r.example/web:1"] * len(found)
    assert images.checked(documents, after, found, named) == right


NAMES = st.from_regex(r"\A(localhost/)?[a-z]{1,3}(:[a-z0-9]{1,3})?\Z")


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=6), st.lists(st.sampled_from(["{}", "'{}'", '"{}"', "{} # {}"]), min_size=6, max_size=6))
def test_any_images(names: list[str], forms: list[str]) -> None:
    lines = [f"  - name: c{at}\n    image: {form.format(name, name)}\n" for at, (name, form) in enumerate(zip(names, forms))]
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n" + "".join(lines)
    documents, faults = check.objects_of(text.encode(), "app.yaml")
    if faults or not all(isinstance(one["image"], str) for one in documents[0].value["spec"]["containers"]):
        return  # `on`, `no` ... are no texts
    _rewritten(text, {name: f"r.example/{name.removeprefix('localhost/')}-x" for name in names})
