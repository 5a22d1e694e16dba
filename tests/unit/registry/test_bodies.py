"""Bodies that lie, break off and never end, coming and going."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from kubeplay.engine.images import descriptor, reference
from kubeplay.engine.images.descriptor import Descriptor
from kubeplay.engine.images.registry import answers, blob, upload
from kubeplay.engine.images.registry.conf import Registries, Registry
from kubeplay.engine.images.registry.sink import RegistrySink
from kubeplay.engine.images.registry.source import RegistrySource
from kubeplay.errors import InvalidInput, NotFound, NotSupported, RegistryError
from tests.support.hostile_registry import (
    INDEX,
    MANIFEST,
    Hostile,
    Image,
    cut,
    drip,
    endless,
    many_headers,
    other_bytes,
    says,
)
from tests.support.images import digest
from tests.unit.registry.asking import LAYER, NONE, ONCE, PLAIN, everything, layer, source


# bodies
def test_a_good_one(bad: Hostile, image: Image) -> None:
    with source(bad) as there:
        assert digest(there.manifest().raw) == image.manifest == there.digest()
        assert everything(there, layer(image)) == LAYER
        assert everything(there, layer(image), 1000) == LAYER[1000:]
        assert everything(there, layer(image), len(LAYER)) == b""
        with pytest.raises(NotFound, match=r"team/app@sha256:0+: there is no such image: .*MANIFEST_UNKNOWN: not here \(HTTP 404\)"):
            there.manifest("sha256:" + "0" * 64)
        with pytest.raises(InvalidInput):
            there.manifest("sha256:../../etc/passwd")
        with pytest.raises(InvalidInput):
            there.blob(Descriptor("", "sha256:../../x", 3))


def test_a_broken_download_goes_on_where_it_broke(bad: Hostile, image: Image) -> None:
    bad.on(f"GET .*{image.layers[0]}", cut(300_000), times=3)
    with source(bad) as there:
        assert everything(there, layer(image)) == LAYER
    ranges = [one.headers.get("range") for one in bad.asked(f"GET .*{image.layers[0]}")]
    assert ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_a_registry_without_ranges_sends_all_again(bad: Hostile, image: Image) -> None:
    bad.on(f"GET .*{image.layers[0]}", cut(300_000), times=1)
    bad.on(f"GET .*{image.layers[0]}", says(200, LAYER), times=1)
    with source(bad) as there:
        assert everything(there, layer(image)) == LAYER


def test_a_download_that_always_breaks_ends(bad: Hostile, image: Image) -> None:
    bad.on(f"GET .*{image.layers[0]}", cut(10))
    with source(bad) as there, pytest.raises(RegistryError):
        everything(there, layer(image))
    assert len(bad.asked(f"GET .*{image.layers[0]}")) == 4, "the first and three more"


def test_a_wrong_range_is_noticed(bad: Hostile, image: Image) -> None:
    bad.on(f"GET .*{image.layers[0]}", says(206, LAYER, Content_Range=f"bytes 0-{len(LAYER) - 1}/{len(LAYER)}"))
    with source(bad) as there, pytest.raises(RegistryError, match="others came"):
        everything(there, layer(image), 1000)


@pytest.mark.parametrize("size", [len(LAYER) - 1, len(LAYER) + 1])
def test_another_length_is_refused(bad: Hostile, image: Image, size: int) -> None:
    with source(bad) as there, pytest.raises(RegistryError, match=f"has {len(LAYER)} bytes, the image says {size}"):
        everything(there, layer(image, size))


def test_an_endless_layer_is_refused(bad: Hostile, image: Image) -> None:
    bad.on(f"GET .*{image.layers[0]}", endless)
    with source(bad) as there, pytest.raises(RegistryError, match="longer than"):
        everything(there, layer(image))


def test_a_dripping_layer_counts_as_lost(bad: Hostile, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob, "_WINDOW", 0.01)
    bad.on(f"GET .*{image.layers[0]}", drip(0.01))
    with source(bad, ONCE) as there, pytest.raises(RegistryError, match="less than"):
        everything(there, layer(image))


def test_an_endless_manifest_is_refused(bad: Hostile) -> None:
    bad.on("GET .*/manifests/.*", endless)
    with source(bad, ONCE) as there, pytest.raises(RegistryError, match="longer than 4194304 bytes"):
        there.manifest()


def test_a_huge_manifest_is_refused(bad: Hostile) -> None:
    bad.put_manifest("team/app", "1", b" " * (5 << 20))
    with source(bad, ONCE) as there, pytest.raises(RegistryError, match="longer than"):
        there.manifest()


def test_a_dripping_manifest_is_given_up(bad: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_SECONDS", 0.02)
    bad.on("GET .*/manifests/.*", drip(0.01))
    with source(bad, ONCE) as there, pytest.raises(RegistryError, match="did not arrive"):
        there.manifest()


def test_too_many_headers(bad: Hostile) -> None:
    bad.on("GET .*/manifests/.*", many_headers)
    with source(bad, ONCE) as there, pytest.raises(RegistryError, match="headers"):
        there.manifest()


def test_a_manifest_must_have_the_digest_it_was_asked_by(bad: Hostile, image: Image) -> None:
    raw, media = bad.manifests["team/app", image.manifest]
    bad.on(f"GET .*/manifests/{image.manifest}", says(200, other_bytes(raw), Content_Type=media))
    with source(bad, name=f"team/app@{image.manifest}") as there, pytest.raises(RegistryError, match="digest it was asked by"):
        there.manifest()


def test_manifests_are_what_they_are_not_what_is_said(bad: Hostile, image: Image) -> None:
    raw, _ = bad.manifests["team/app", "1"]
    both = json.dumps({**json.loads(raw), "manifests": [{"mediaType": MANIFEST, "digest": image.manifest, "size": 1}]}).encode()
    for body, media, error in (
        (both, MANIFEST, InvalidInput), (raw.replace(MANIFEST.encode(), INDEX.encode()), INDEX, InvalidInput),
        (b'{"schemaVersion": 1, "fsLayers": []}', "application/vnd.docker.distribution.manifest.v1+prettyjws", NotSupported),
    ):  # fmt: skip
        bad.put_manifest("team/app", "1", body, media)
        with source(bad) as there, pytest.raises(error):
            document = there.manifest()
            descriptor.read(document.raw, document.media_type)


# sending
def test_a_broken_upload_goes_on_where_the_registry_is(bad: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SMALL", 1000)
    monkeypatch.setattr(upload, "_SETTLE", 0.001)
    took = 400_000

    def lose(self: Any) -> None:
        session = self.path.rpartition("/")[2]
        self.registry.uploads[session] = self.body[:took]
        self.close_connection = True

    bad.on("PATCH .*", lose, times=1)
    what = Descriptor("", digest(LAYER), len(LAYER))
    with RegistrySink(reference.parse(f"{bad.address}/team/app:2"), PLAIN, NONE) as there:
        there.put_blob(what, io.BytesIO(LAYER))
        assert there.has(what)
    assert bad.blobs[what.digest] == LAYER and not bad.uploads
    assert bad.asked("PATCH .*")[1].headers["content-range"] == f"{took}-{len(LAYER) - 1}"


def test_a_small_blob_is_sent_again(bad: Hostile) -> None:
    bad.on("PUT .*/uploads/.*", says(503), times=2)
    what = Descriptor("", digest(b"small"), 5)
    with RegistrySink(reference.parse(f"{bad.address}/team/app:2"), PLAIN, NONE) as there:
        there.put_blob(what, io.BytesIO(b"small"))
    assert bad.blobs[what.digest] == b"small" and not bad.uploads


def test_what_could_not_be_sent_is_cancelled(bad: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "SMALL", 1000)
    with RegistrySink(reference.parse(f"{bad.address}/team/app:2"), ONCE, NONE) as there:
        for wrong in (len(LAYER) + 1, len(LAYER) - 1):
            with pytest.raises(InvalidInput, match="does not have the"):
                there.put_blob(Descriptor("", digest(LAYER), wrong), io.BytesIO(LAYER))
        with pytest.raises(RegistryError, match="DIGEST_INVALID"):
            there.put_blob(Descriptor("", digest(b"other"), len(LAYER)), io.BytesIO(LAYER))
        with pytest.raises(InvalidInput):
            there.put_blob(Descriptor("", digest(b"abc"), 2), io.BytesIO(b"abc"))
        bad.on("PATCH .*", says(307, Location="https://other.example/"))
        with pytest.raises(RegistryError):
            there.put_blob(Descriptor("", digest(LAYER), len(LAYER)), io.BytesIO(LAYER))
    assert not bad.uploads


def test_a_push_by_digest_must_be_of_that_digest(bad: Hostile, image: Image) -> None:
    raw, media = bad.manifests["team/app", "1"]
    from kubeplay.engine.images.transports.base import Document

    with RegistrySink(reference.parse(f"{bad.address}/team/app@sha256:{'0' * 64}"), PLAIN, NONE) as there:
        with pytest.raises(InvalidInput, match="has the digest"):
            there.put_manifest(Document(raw, media), image.manifest, True)
        bad.on("PUT .*", says(201, Docker_Content_Digest="sha256:" + "1" * 64))
        with pytest.raises(RegistryError, match="stored another manifest"):
            there.put_manifest(Document(raw, media), image.manifest, False)


def test_a_blocked_registry_is_not_spoken_to(bad: Hostile) -> None:
    config = Registries(registries=(Registry(bad.address, bad.address, blocked=True, file="here.conf"),))
    for door in (RegistrySource, RegistrySink):
        with pytest.raises(RegistryError, match=r"is blocked in here\.conf"):
            door(reference.parse(f"{bad.address}/x:1"), PLAIN, config)
    assert not bad.requests


def test_lists_in_pages(bad: Hostile) -> None:
    link = '</v2/team/app/tags/list?last=b>; rel="next"'
    bad.on(r"GET /v2/team/app/tags/list\?n=.*", says(200, b'{"tags": ["a", "../x", "b"]}', Link=link), times=1)
    bad.on(r"GET /v2/team/app/tags/list\?last=b", says(200, b'{"tags": ["c", "d"]}'), times=1)
    with source(bad) as there:
        assert there.tags(4) == ["a", "b", "c"]
        bad.on(r"GET /v2/team/app/tags/list.*", says(200, b'{"tags": [1]}'))
        with pytest.raises(RegistryError, match="cannot be read"):
            there.tags(5)
