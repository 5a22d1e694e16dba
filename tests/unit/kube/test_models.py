"""The door to the typed models: there and back."""

from __future__ import annotations

from kubeplay.kube import check, models


def test_typed_and_back() -> None:
    text = b"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: x, resources: {limits: {cpu: 1}}}]}\n"
    manifest = check.read(text, "f")[0]
    pod = models.typed(manifest.object, manifest.kind)
    assert type(pod).__name__ == "V1Pod" and pod.spec.containers[0].image_pull_policy == "Always"
    back = models.plain(pod)
    assert back["metadata"] == manifest.object["metadata"]
    assert back["spec"]["containers"] == manifest.object["spec"]["containers"]


def test_names() -> None:
    assert models.short_name("V1PodSpec") == "PodSpec"
    assert models.short_name("CoreV1ResourceClaim") == "ResourceClaim"
    assert models.short_name("V2MetricSpec") == "V2MetricSpec"
    assert models.Field("imagePullPolicy", "str") in models.fields("V1Container")
