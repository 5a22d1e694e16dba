"""How places of images are written, which member of an index is taken, how manifests are made anew. All pure."""

from __future__ import annotations

import json

import pytest

from kubeplay.engine.images import platforms
from kubeplay.engine.images.copying import manifests
from kubeplay.engine.images.copying.manifests import Packed
from kubeplay.engine.images.descriptor import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Index, Manifest, Platform, read
from kubeplay.engine.images.transports.location import Location, local_name, parse
from kubeplay.errors import InvalidInput, NotFound, NotSupported

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("docker://busybox", Location("docker", "", "docker.io/library/busybox:latest")),
        ("docker://h:5000/a/b:1", Location("docker", "", "h:5000/a/b:1")),
        (f"docker://q.io/a@sha256:{HEX}", Location("docker", "", f"q.io/a@sha256:{HEX}")),
        ("oci:/a/b", Location("oci", "/a/b", "")),
        ("oci:rel:v1", Location("oci", "rel", "v1")),
        ("oci:/a:h:5000/x:1", Location("oci", "/a", "h:5000/x:1")),
        ("oci-archive:x.tar:@3", Location("oci-archive", "x.tar", "@3")),
        ("docker-archive:x.tar:busybox", Location("docker-archive", "x.tar", "docker.io/library/busybox:latest")),
        ("docker-archive:x.tar:@1", Location("docker-archive", "x.tar", "@1")),
        ("dir:/a:b", Location("dir", "/a:b", "")),
        ("containers-storage:x:1", Location("containers-storage", "", "x:1")),
        ("busybox:1", Location("", "", "busybox:1")),
        ("localhost:5000/x:1", Location("", "", "localhost:5000/x:1")),
        ("oci/thing:1", Location("", "", "oci/thing:1")),
    ],
)
def test_locations(text: str, place: Location) -> None:
    assert parse(text) == place


@pytest.mark.parametrize(
    "text",
    ["docker:busybox", "docker://", "docker://../x", "oci:", "dir:", "dir:a\0b", "containers-storage:", "docker-archive:x:UP", "oci:x:a\nb",
     f"docker-archive:x.tar:a@sha256:{HEX}"],
)  # fmt: skip
def test_bad_locations(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse(text)


@pytest.mark.parametrize("text", ["docker-daemon:x:1", "ostree:x", "sif:x", "containers-storage:[overlay@/x]y"])
def test_transports_that_are_not_here(text: str) -> None:
    with pytest.raises(NotSupported):
        parse(text)


def test_locations_are_written_as_read() -> None:
    for text in ("oci:/a:b", "dir:/a", "docker://q.io/a:1", "docker-archive:/x"):
        assert str(parse(text)) == text
    assert local_name("x") == "localhost/x:latest" and local_name("q.io/x:1") == "q.io/x:1"


def index(*wanted: str) -> Index:
    members = []
    for text in wanted:
        os_name, arch, variant = (*text.split("/"), "", "")[:3]
        members.append(Descriptor("", f"sha256:{HEX}", len(members), platform=Platform(os_name, arch, variant) if text else None))
    return Index(b"", "sha256:i", OCI_INDEX, tuple(members))


@pytest.mark.parametrize(
    ("members", "platform", "chosen"),
    [
        (("linux/amd64", "linux/arm64"), "linux/arm64", 1),
        (("linux/arm64/v8", "linux/amd64/v3", "linux/amd64"), "linux/amd64", 2),
        (("linux/arm64/v8",), "linux/arm64", 0),
        (("linux/arm/v5", "linux/arm/v7", "linux/arm/v6"), "linux/arm/v7", 1),
        (("linux/arm/v5", "linux/arm/v6"), "linux/arm/v7", 1),
        (("linux/arm", "linux/arm/v5"), "linux/arm/v6", 1),
        (("windows/amd64", "linux/amd64"), "linux/amd64", 1),
        (("windows/amd64", ""), "linux/amd64", 1),
    ],
)
def test_the_member_for_a_platform(members: tuple[str, ...], platform: str, chosen: int) -> None:
    assert platforms.choose(index(*members), platforms.wanted(platform)).size == chosen


def test_no_member_for_a_platform_names_those_there_are() -> None:
    with pytest.raises(NotFound) as caught:
        platforms.choose(index("linux/arm/v7", "windows/amd64"), platforms.wanted("linux/arm/v6"), "q.io/x:1")
    assert "linux/arm/v6 in q.io/x:1" in caught.value.message
    assert caught.value.hint == "there are: linux/arm/v7, windows/amd64"


def test_proofs_of_origin_are_no_images() -> None:
    proof = Descriptor("", f"sha256:{HEX}", 0, (("vnd.docker.reference.type", "attestation-manifest"),), Platform("unknown", "unknown"))
    with pytest.raises(NotFound, match="no images at all") as caught:
        platforms.choose(Index(b"", "sha256:i", OCI_INDEX, (proof,)), platforms.machine())
    assert caught.value.hint


def test_platforms_that_people_write() -> None:
    here = platforms.machine()
    assert platforms.wanted() == here and platforms.wanted("linux") == here
    assert platforms.wanted(arch="x86_64")[:2] == ("linux", "amd64")
    assert platforms.wanted(arch="arm", variant="v6") == Platform("linux", "arm", "v6")
    for bad in ("linux/", "a/b/c/d", "/amd64"):
        with pytest.raises(InvalidInput):
            platforms.wanted(bad)
    with pytest.raises(InvalidInput, match="can not be specified with"):
        platforms.wanted("linux/arm64", arch="arm64")


def manifest() -> Manifest:
    value = {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "annotations": {"a": "b"},
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{HEX}", "size": 1},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{HEX}", "size": 2}],
    }  # fmt: skip
    found = read(json.dumps(value, indent=3).encode())
    assert isinstance(found, Manifest)
    return found


def test_a_manifest_over_the_same_layers_keeps_its_bytes() -> None:
    old = manifest()
    assert manifests.built(old, OCI_MANIFEST, [Packed(old.layers[0], "gzip")]) == old.raw


def test_manifests_are_made_anew() -> None:
    old = manifest()
    other = Descriptor("", "sha256:" + "1" * 64, 5)
    value = json.loads(manifests.built(old, OCI_MANIFEST, [Packed(other, "zstd")]))
    assert value["annotations"] == {"a": "b"} and value["config"]["digest"] == old.config.digest
    assert value["layers"] == [{"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": other.digest, "size": 5}]
    made = read(manifests.built(old, DOCKER_MANIFEST, [Packed(other, "")]))
    assert isinstance(made, Manifest) and made.media_type == DOCKER_MANIFEST
    assert made.layers[0].media_type == "application/vnd.docker.image.rootfs.diff.tar"
    assert made.config.media_type == "application/vnd.docker.container.image.v1+json"


def test_forms() -> None:
    old = manifest()
    assert manifests.form(old, "", ["gzip"]) == OCI_MANIFEST and manifests.form(old, "v2s2", ["gzip"]) == DOCKER_MANIFEST
    assert manifests.form(old._replace(media_type=DOCKER_MANIFEST), "", ["zstd"]) == OCI_MANIFEST
    with pytest.raises(InvalidInput, match="zstd"):
        manifests.form(old, "v2s2", ["zstd"])
    with pytest.raises(NotSupported):
        manifests.form(old, "v2s1", [])
    with pytest.raises(InvalidInput):
        manifests.form(old, "v3", [])


def test_an_index_is_made_anew_only_where_a_member_differs() -> None:
    raw = json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": "m", "digest": f"sha256:{HEX}", "size": 1, "platform": {"os": "x"}}]})
    found = read(raw.encode())
    assert isinstance(found, Index)
    assert manifests.rebuilt(found, {f"sha256:{HEX}": (f"sha256:{HEX}", 1, "m")}) == raw.encode()
    (entry,) = json.loads(manifests.rebuilt(found, {f"sha256:{HEX}": ("sha256:n", 7, "o")}))["manifests"]
    assert entry == {"mediaType": "o", "digest": "sha256:n", "size": 7, "platform": {"os": "x"}}
