"""Images into the store and out of it: what is downloaded, kept, resumed, refused; and how it is packed on its way out."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeplay.engine.images import platforms
from kubeplay.engine.images.archive import open_archive
from kubeplay.engine.images.copying import fetch, push, save
from kubeplay.engine.images.copying.layers import parallel
from kubeplay.engine.images.copying.progress import Progress
from kubeplay.engine.images.copying.pull import PullOptions, bring
from kubeplay.engine.images.copying.push import PushOptions
from kubeplay.engine.images.copying.sending import Verified
from kubeplay.engine.images.descriptor import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Descriptor, Index, Manifest, read
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.transports import location
from kubeplay.engine.images.transports.base import Reader, Signature
from kubeplay.engine.images.transports.directory import DirSink, DirSource
from kubeplay.engine.images.transports.layout import OciSink
from kubeplay.engine.images.transports.local import BytesReader
from kubeplay.engine.images.transports.oci import OciSource
from kubeplay.engine.images.transports.storage import StorageSource
from kubeplay.errors import AlreadyExists, Exhausted, InvalidInput, NotFound, NotSupported, RegistryError, TrustError
from tests.support.images import digest, directory, docker_archive, file, layer
from tests.support.sources import Breaking, Fake, Held, House

pytestmark = pytest.mark.root
ONE = layer([directory("d"), file("d/a", os.urandom(300_000))])
TWO, THREE = layer([file("d/b", b"two")]), layer([file("d/c", b"three")])
NAME = "fake.example/x:1"
ACCEPT = PullOptions()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


# coming
def test_a_pull_keeps_what_came(house: House) -> None:
    source, events = Fake([ONE, TWO]), []
    image_id = bring(house.images, source, (NAME,), report=events.append)
    row = house.images.get(NAME)
    assert row.id == image_id == digest(source.config) and row.layers == (digest(ONE), digest(TWO))
    assert row.manifest_digest == digest(source.top) and house.images.manifest(image_id) == source.top
    assert dict(house.images.blobs.whole()) == {digest(packed(data)): len(packed(data)) for data in (ONE, TWO)}
    assert Path(house.images.blobs.path(digest(packed(ONE)))).read_bytes() == packed(ONE)
    done = [event.subject for event in events if event.kind == "blob" and event.state == "done"]
    assert sorted(done) == sorted(digest(packed(data)) for data in (ONE, TWO))


def test_layers_that_are_here_are_not_fetched(house: House) -> None:
    bring(house.images, Fake([ONE, TWO]), (NAME,))
    other = Fake([ONE, THREE])
    bring(house.images, other, ("fake.example/y:1",))
    assert [at for at, _ in other.opened] == [digest(other.config), digest(packed(THREE))]
    again = Fake([ONE, TWO])
    bring(house.images, again, (NAME,))
    assert [at for at, _ in again.opened] == [digest(again.config)]


def test_a_layer_used_twice_is_fetched_once(house: House) -> None:
    source = Fake([TWO, ONE, TWO])
    bring(house.images, source, (NAME,))
    assert len(source.opened) == 3 and house.images.get(NAME).layers == (digest(TWO), digest(ONE), digest(TWO))


def test_uncompressed_blobs_are_not_kept_twice(house: House) -> None:
    bring(house.images, Fake([ONE], stored=[ONE], media="layer.v1.tar"), (NAME,))
    assert house.images.blobs.whole() == [] and house.images.blobs.partial() == []


def test_a_removed_image_takes_its_blobs_along(house: House) -> None:
    first, second = Fake([ONE, TWO]), Fake([ONE, THREE])
    bring(house.images, first, (NAME,))
    bring(house.images, second, ("fake.example/y:1",))
    house.images.remove(NAME)
    assert {at for at, _ in house.images.blobs.whole()} == {digest(packed(ONE)), digest(packed(THREE))}
    house.images.remove("fake.example/y:1")
    assert house.files() == [] and house.store.images.blobs() == [] and house.store.images.document_digests() == set()


def test_a_connection_that_breaks_goes_on_where_it_broke(house: House) -> None:
    source = Fake([ONE])
    source.reader = lambda data, blob: Breaking(data, 100_000, RegistryError("gone")) if blob.size > 1000 else BytesReader(data)
    bring(house.images, source, (NAME,))
    offsets = [at for name, at in source.opened if name == digest(packed(ONE))]
    assert offsets == [0, 100_000, 200_000, 300_000] and house.images.layers.has(digest(ONE))


def test_the_next_pull_goes_on_where_a_failed_one_ended(house: House) -> None:
    source = Fake([ONE])
    source.reader = lambda data, blob: (
        Breaking(data, 200_000, RegistryError("refused", 500)) if blob.size > 1000 else BytesReader(data)
    )
    with pytest.raises(RegistryError, match="refused"):
        bring(house.images, source, (NAME,))
    assert house.images.blobs.partial() == [(digest(packed(ONE)), 200_000)] and house.images.layers.list() == []
    again = Fake([ONE])
    bring(house.images, again, (NAME,))
    assert (digest(packed(ONE)), 200_000) in again.opened and house.images.blobs.partial() == []
    assert Path(house.images.blobs.path(digest(packed(ONE)))).read_bytes() == packed(ONE)


def test_a_damaged_beginning_is_fetched_anew(house: House) -> None:
    part = f"{house.images.blobs.directory}/.part-{digest(packed(ONE))[7:]}"
    os.makedirs(house.images.blobs.directory)
    for content in (bytes(100_000), bytes(len(packed(ONE))), bytes(len(packed(ONE)) + 5)):
        Path(part).write_bytes(content)
        bring(house.images, Fake([ONE]), (NAME,))
        assert Path(house.images.blobs.path(digest(packed(ONE)))).read_bytes() == packed(ONE)
        house.images.remove(NAME)


@pytest.mark.parametrize("damage", [lambda d: d[:-1] + bytes([d[-1] ^ 1]), lambda d: b"x" + d, lambda d: d[:-50],
                                    lambda d: b"", lambda d: ONE])  # fmt: skip
def test_wrong_content_is_refused_and_leaves_nothing(house: House, damage: object) -> None:
    source = Fake([ONE, TWO])
    assert callable(damage)
    source.blobs[digest(packed(ONE))] = damage(packed(ONE))
    with pytest.raises((InvalidInput, RegistryError)):
        bring(house.images, source, (NAME,))
    assert house.images.list() == [] and not house.images.layers.has(digest(ONE)) and not house.images.blobs.has(digest(packed(ONE)))


def test_wrong_content_after_a_wrong_beginning_leaves_nothing(house: House) -> None:
    os.makedirs(house.images.blobs.directory)
    Path(f"{house.images.blobs.directory}/.part-{digest(packed(ONE))[7:]}").write_bytes(bytes(100))
    source = Fake([ONE])
    source.blobs[digest(packed(ONE))] = packed(ONE)[:-9] + bytes(9)
    with pytest.raises(InvalidInput) as caught:
        bring(house.images, source, (NAME,))
    assert type(caught.value) is InvalidInput and house.files() == []


def test_damage_is_told_with_the_layer(house: House) -> None:
    source = Fake([ONE])
    source.blobs[digest(packed(ONE))] = packed(ONE)[:50] + bytes(100) + packed(ONE)[150:]
    with pytest.raises(InvalidInput, match=digest(packed(ONE))):
        bring(house.images, source, (NAME,))


def test_as_many_layers_as_overlayfs_takes(house: House) -> None:
    layers = [layer([file(f"f{number}", b"x")]) for number in range(127)]
    bring(house.images, Fake(layers), (NAME,), PullOptions(parallel=8))
    assert house.images.get(NAME).layers == tuple(digest(data) for data in layers)


def test_names_of_manifests_are_never_transports(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "registries.conf").write_text('[[registry]]\nlocation = "docker.io"\nblocked = true\n')
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.chdir(tmp_path)
    with DirSink(str(tmp_path / "x")) as sink:
        push.copy(house.images, Fake([ONE]), sink)
    assert fetch.fetch(house.images, "dir:x", Access())  # a person may say so
    with pytest.raises(RegistryError, match="blocked"):
        fetch.by_name(house.images, "dir:x", Access())


def test_the_setting_of_layers_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEPLAY_IMAGE_PARALLEL_COPIES", raising=False)
    assert parallel() == 3
    monkeypatch.setenv("KUBEPLAY_IMAGE_PARALLEL_COPIES", "7")
    assert parallel() == 7
    for bad in ("0", "x", "-1", "99"):
        monkeypatch.setenv("KUBEPLAY_IMAGE_PARALLEL_COPIES", bad)
        with pytest.raises(InvalidInput):
            parallel()


def test_wrong_configuration_and_manifest_are_refused(house: House) -> None:
    source = Fake([ONE])
    source.blobs[digest(source.config)] = source.config[:-1] + b" "
    with pytest.raises(InvalidInput, match="does not match"):
        bring(house.images, source, (NAME,))
    with pytest.raises(InvalidInput, match="was asked for"):
        bring(house.images, Fake([ONE]), (NAME,), PullOptions(digest=digest(b"other")))
    swapped = Fake([ONE, TWO], stored=[packed(TWO), packed(ONE)])
    with pytest.raises(InvalidInput, match="unpacks to"):
        bring(house.images, swapped, (NAME,))
    with pytest.raises(NotSupported, match="layer of type"):
        bring(house.images, Fake([ONE], media="layer.nondistributable.v1.tar+gzip"), (NAME,))
    artifact = Fake([ONE])
    artifact.top = artifact.top.replace(b"image.config.v1", b"helm.config.v1")
    with pytest.raises(InvalidInput, match="no container image"):
        bring(house.images, artifact, (NAME,))
    assert house.images.list() == []


def index_of(*members: tuple[Fake, str]) -> Fake:
    top = members[0][0]
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": OCI_MANIFEST, "digest": digest(one.top), "size": len(one.top),
         "platform": dict(zip(("os", "architecture", "variant"), text.split("/")))} for one, text in members
    ]}  # fmt: skip
    for one, _ in members:
        top.documents |= one.documents
        top.blobs |= one.blobs
    top.top = json.dumps(body).encode()
    return top


def test_indexes(house: House) -> None:
    here = platforms.machine()
    source = index_of((Fake([ONE]), f"{here.os}/{here.architecture}"), (Fake([TWO], platform={"architecture": "vax"}), "linux/vax"))
    bring(house.images, source, (NAME,))
    row = house.images.get(NAME)
    assert row.layers == (digest(ONE),)
    for known in (digest(source.top), row.manifest_digest):
        assert house.images.get(f"fake.example/x@{known}") == row and house.images.document(known)
    bring(house.images, source, (NAME,), PullOptions(platform=platforms.wanted("linux/vax")))
    assert house.images.get(NAME).layers == (digest(TWO),)
    with pytest.raises(NotFound) as caught:
        bring(house.images, source, (NAME,), PullOptions(platform=platforms.wanted("linux/arm64")))
    assert "linux/vax" in caught.value.hint


def test_a_member_must_be_what_the_index_says(house: House) -> None:
    source = index_of((Fake([ONE]), "linux/amd64"))
    name = next(iter(source.documents))
    source.documents[name] = source.documents[name] + b" "
    with pytest.raises(InvalidInput, match="does not match"):
        bring(house.images, source, (NAME,), PullOptions(platform=platforms.wanted("linux/amd64")))


def test_another_platform_is_warned_of(house: House) -> None:
    events: list[Progress] = []
    bring(house.images, Fake([ONE]), (NAME,), PullOptions(platform=platforms.wanted("linux/vax")), events.append)
    assert [event.subject for event in events if event.kind == "warning"] == [
        "image platform (linux/amd64) does not match the expected platform (linux/vax)"
    ]


def test_two_pulls_at_once_download_once(tmp_path: Path) -> None:
    """Two stores over one root, as two processes have them."""
    houses = [House(tmp_path), House(tmp_path)]
    begun, go, waiting = threading.Event(), threading.Event(), threading.Event()
    first, second = Fake([ONE]), Fake([ONE])
    first.reader = lambda data, blob: Held(data, begun, go) if blob.size > 1000 else BytesReader(data)
    failures: list[BaseException] = []

    def run(house: House, source: Fake) -> None:
        try:
            bring(house.images, source, (NAME,), report=lambda event: waiting.set() if event.state == "waiting" else None)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(houses, (first, second))]
    threads[0].start()
    assert begun.wait(300)
    threads[1].start()
    assert waiting.wait(300)
    assert houses[1].images.collect() == ()  # nothing is taken from under them
    go.set()
    for thread in threads:
        thread.join()
    assert not failures and digest(packed(ONE)) not in [name for name, _ in second.opened]
    assert houses[0].images.get(NAME) == houses[1].images.get(NAME)
    for house in houses:
        house.close()


def test_one_failing_layer_stops_the_others(house: House) -> None:
    begun, go = threading.Event(), threading.Event()
    source = Fake([ONE, TWO])

    def reader(data: bytes, blob: Descriptor) -> Reader:
        if blob.size > 1000:
            return Held(data, begun, go)
        if data == source.config:
            return BytesReader(data)
        assert begun.wait(300)
        go.set()
        return Breaking(b"", 0, RegistryError("no", 404))

    source.reader = reader
    with pytest.raises(RegistryError, match="no"):
        bring(house.images, source, (NAME,))
    assert house.images.list() == []


def test_a_full_disk_leaves_a_clean_state(tmp_path: Path) -> None:
    from kubeplay.engine.host import syscalls

    small = tmp_path / "small"
    small.mkdir()
    syscalls.mount("tmpfs", str(small), "tmpfs", 0, "size=3m")
    try:
        house = House(small)
        big = layer([file("big", os.urandom(8 << 20))])
        with pytest.raises(Exhausted, match="no space left"):
            bring(house.images, Fake([ONE, big]), (NAME,))
        assert house.images.list() == [] and house.files() == []
        bring(house.images, Fake([TWO]), (NAME,))
        house.close()
    finally:
        syscalls.umount(str(small))


# going
def test_what_was_pulled_is_pushed_byte_for_byte(house: House, tmp_path: Path) -> None:
    source = Fake([ONE, TWO], annotations={"k": "v"})
    bring(house.images, source, (NAME,))
    with OciSink(str(tmp_path / "out"), "v1") as sink:
        assert push.push(house.images, NAME, sink) == digest(source.top)
    for blob, data in source.blobs.items():
        assert (tmp_path / "out/blobs/sha256" / blob[7:]).read_bytes() == data
    assert (tmp_path / "out/blobs/sha256" / digest(source.top)[7:]).read_bytes() == source.top


def test_loaded_images_are_packed_once_and_alike(house: House, tmp_path: Path) -> None:
    house.images.load(str(docker_archive(tmp_path / "x.tar", ["x:1"], [ONE, TWO])))
    digests, opened = set(), []
    for name in ("a", "b"):
        with OciSink(str(tmp_path / name)) as sink:
            digests.add(push.push(house.images, "x:1", sink, report=opened.append))
    assert len(digests) == 1 and len(house.store.images.blobs()) == 2 and house.images.blobs.whole() == []
    with OciSink(str(tmp_path / "a"), "again") as sink:
        push.push(house.images, "x:1", sink, report=opened.append)
    assert [event.state for event in opened if event.kind == "blob" and event.state != "bytes"][-2:] == ["skipped", "skipped"]
    assert len(json.loads((tmp_path / "a/index.json").read_text())["manifests"]) == 2


@pytest.mark.parametrize(
    ("options", "media", "word"),
    [
        (PushOptions(), OCI_MANIFEST, "gzip"),
        (PushOptions(format="v2s2"), DOCKER_MANIFEST, "gzip"),
        (PushOptions(format="v2s2", compression="gzip", level=9), DOCKER_MANIFEST, "gzip"),
        (PushOptions(compression="zstd"), OCI_MANIFEST, "zstd"),
        (PushOptions(compression="zstd", force=False), OCI_MANIFEST, "gzip"),
    ],
)
def test_conversion(house: House, tmp_path: Path, options: PushOptions, media: str, word: str) -> None:
    bring(house.images, Fake([ONE, TWO]), (NAME,))
    with OciSink(str(tmp_path / "out")) as sink:
        push.push(house.images, NAME, sink, options)
    other = House(tmp_path, "other")
    with open_archive(str(tmp_path / "out"), str(tmp_path)) as archive:
        source = OciSource(archive, str(tmp_path / "out"))
        found = read(source.manifest().raw)
        assert isinstance(found, Manifest) and found.media_type == media
        assert all(one.media_type.endswith(word) for one in found.layers)
        assert bring(other.images, source, (NAME,)) == house.images.get(NAME).id
    other.close()


def test_signatures_stay_with_an_image(house: House, tmp_path: Path) -> None:
    source = Fake([ONE])
    source.signed = (Signature("simple", b"\x99openpgp"), Signature("sigstore", b"{}", (("a", "b"),)))
    bring(house.images, source, (NAME,))
    assert set(StorageSource(house.images, house.images.get(NAME)).signatures(digest(source.top))) == set(source.signed)
    with DirSink(str(tmp_path / "out")) as sink:
        push.push(house.images, NAME, sink)
    with DirSource(str(tmp_path / "out")) as written:
        assert set(written.signatures(digest(source.top))) == set(source.signed) and written.manifest().raw == source.top
    with pytest.raises(InvalidInput, match="make its signatures void"), DirSink(str(tmp_path / "other")) as sink:
        push.push(house.images, NAME, sink, PushOptions(format="v2s2"))
    assert not (tmp_path / "other").exists()
    with pytest.raises(NotSupported, match="no place"), OciSink(str(tmp_path / "oci")) as layout:
        push.push(house.images, NAME, layout)
    with DirSink(str(tmp_path / "other")) as sink:
        push.push(house.images, NAME, sink, PushOptions(format="v2s2", remove_signatures=True))
    house.images.remove(NAME)
    assert house.store.images.signatures(digest(source.top)) == []


def test_an_index_is_copied_with_all_its_members(house: House, tmp_path: Path) -> None:
    source = index_of((Fake([ONE]), "linux/amd64"), (Fake([TWO], platform={"architecture": "vax"}), "linux/vax"))
    with OciSink(str(tmp_path / "out"), "v1") as sink:
        assert push.copy(house.images, source, sink, PushOptions(all=True)) == digest(source.top)
    assert {path.name for path in (tmp_path / "out/blobs/sha256").iterdir()} == {
        name[7:] for name in (*source.blobs, *source.documents, digest(source.top))
    }
    with OciSink(str(tmp_path / "one"), "v1") as sink:
        assert push.copy(house.images, source, sink, PushOptions(platform=platforms.wanted("linux/vax"))) != digest(source.top)


def test_members_from_the_store_are_packed_and_the_index_follows(house: House, tmp_path: Path) -> None:
    (loaded,) = house.images.load(str(docker_archive(tmp_path / "x.tar", ["x:1"], [ONE])))
    row = house.images.get(loaded.image_id)
    raw = house.images.manifest(row.id)
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        {"mediaType": DOCKER_MANIFEST, "digest": digest(raw), "size": len(raw), "platform": {"os": "linux", "architecture": "amd64"}}
    ]}  # fmt: skip

    class Made(Fake):
        def member(self, wanted: str) -> StorageSource:
            return StorageSource(house.images, row)

    source = Made([])
    source.top = json.dumps(body).encode()
    with OciSink(str(tmp_path / "out"), "v1") as sink:
        written = push.copy(house.images, source, sink, PushOptions(all=True))
    found = read((tmp_path / "out/blobs/sha256" / written[7:]).read_bytes())
    assert isinstance(found, Index) and found.manifests[0].digest != digest(raw)
    assert found.manifests[0].platform is not None and found.manifests[0].platform.architecture == "amd64"
    other = House(tmp_path, "other")
    assert other.images.load(str(tmp_path / "out"))[0].image_id == row.id
    other.close()


def test_copies_are_asked_for(house: House, tmp_path: Path) -> None:
    from kubeplay.engine.images import trust

    (tmp_path / "policy.json").write_text('{"default": [{"type": "reject"}]}')
    options = PushOptions(policy=trust.load(str(tmp_path / "policy.json")), all=True)
    for source in (Fake([ONE]), index_of((Fake([ONE]), "linux/amd64"))):
        with pytest.raises(TrustError), OciSink(str(tmp_path / "out")) as sink:
            push.copy(house.images, source, sink, options)
        assert source.opened == [] and not (tmp_path / "out").exists()
    bring(house.images, Fake([ONE]), (NAME,))
    with OciSink(str(tmp_path / "out")) as sink:
        push.push(house.images, NAME, sink, options)


def test_an_interrupted_pull_does_not_wait_for_another(tmp_path: Path) -> None:
    """A layer that another process fetches is waited for; when another layer fails meanwhile, the wait ends."""
    house = House(tmp_path)
    waiting = threading.Event()
    source = Fake([ONE, TWO])

    def reader(data: bytes, blob: Descriptor) -> Reader:
        if data == source.config:
            return BytesReader(data)
        assert waiting.wait(300)
        return Breaking(b"", 0, RegistryError("no", 404))

    source.reader = reader
    with house.images.blobs.claim(digest(packed(ONE))):
        with pytest.raises(RegistryError, match="no"):
            bring(house.images, source, (NAME,), report=lambda event: waiting.set() if event.state == "waiting" else None)
    house.close()


def test_a_copy_is_verified(house: House, tmp_path: Path) -> None:
    for damage in (lambda d: d[:-1] + bytes([d[-1] ^ 1]), lambda d: d + b"x", lambda d: d[:-1]):
        source = Fake([ONE])
        source.blobs[digest(packed(ONE))] = damage(packed(ONE))
        with pytest.raises(InvalidInput), OciSink(str(tmp_path / "out")) as sink:
            push.copy(house.images, source, sink)
        assert not (tmp_path / "out").exists()


def test_a_sink_may_begin_again(house: House, tmp_path: Path) -> None:
    """A registry that lost its connection asks for the blob once more: packed, kept and rebuilt ones."""

    class Twice(OciSink):
        def put_blob(self, blob: Descriptor, content: Reader) -> None:
            if isinstance(content, Verified):  # the configuration is sent from memory
                content.read(1000)
                content.rewind()
            super().put_blob(blob, content)

    bring(house.images, Fake([ONE]), (NAME,))
    house.images.load(str(docker_archive(tmp_path / "x.tar", ["x:1"], [layer([file("z", os.urandom(200_000))])])))
    for name, packing in ((NAME, "compressed"), ("x:1", "compressed"), ("x:1", "any")):
        out = tmp_path / f"{name.replace('/', '-')}-{packing}"
        with Twice(str(out)) as sink:
            sink.packing = packing
            push.push(house.images, name, sink)
        big = [path for path in (out / "blobs/sha256").iterdir() if path.stat().st_size > 100_000]
        assert [digest(path.read_bytes())[7:] for path in big] == [path.name for path in big] and len(big) == 1


def test_a_failing_write_leaves_what_was_there(house: House, tmp_path: Path) -> None:
    bring(house.images, Fake([TWO]), (NAME,))
    with OciSink(str(tmp_path / "out"), "v1") as sink:
        push.push(house.images, NAME, sink)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    bad = Fake([ONE])
    bad.blobs[digest(packed(ONE))] = b"x"
    with pytest.raises(InvalidInput), OciSink(str(tmp_path / "out"), "v2") as sink:
        push.copy(house.images, bad, sink)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("form", save.FORMATS)
def test_save_and_read_back(house: House, tmp_path: Path, form: str) -> None:
    bring(house.images, Fake([ONE, TWO]), (NAME,))
    out = str(tmp_path / "out")
    save.save(house.images, [NAME], out, form)
    other = House(tmp_path, "other")
    if form == "docker-dir":
        with DirSource(out) as source:
            assert bring(other.images, source, (NAME,)) == house.images.get(NAME).id
    else:
        (loaded,) = other.images.load(out)
        assert loaded.image_id == house.images.get(NAME).id and loaded.names == (NAME,)
    other.close()


def test_a_layer_that_cannot_be_rebuilt_comes_from_its_blob(house: House, tmp_path: Path) -> None:
    """A deletion with content, which is kept nowhere: the tar is in the blob only."""
    odd = layer([file("a", b"first"), file(".wh.b", b"content")])
    bring(house.images, Fake([odd]), (NAME,))
    save.save(house.images, [NAME], str(tmp_path / "out"))
    other = House(tmp_path, "other")
    assert other.images.load(str(tmp_path / "out"))[0].image_id == house.images.get(NAME).id
    with pytest.raises(NotSupported):  # an archive keeps no blob
        save.save(other.images, [NAME], str(tmp_path / "again"))
    assert not (tmp_path / "again").exists()
    other.close()


def test_an_image_cannot_pass_another_blob_off_as_a_layer(house: House, tmp_path: Path) -> None:
    """A manifest that names blob X for a layer that is here already: X must not be pushed as that layer, of this image or of any other."""
    evil = layer([file("d/b", b"evil")])
    lying = Fake([TWO], stored=[packed(evil)])
    bring(house.images, Fake([TWO]), (NAME,))
    unseen = bring(house.images, lying, ("fake.example/unseen:1",))  # X is not here: nobody can know
    bring(house.images, Fake([evil]), ("fake.example/e:0",))
    with pytest.raises(InvalidInput, match="unpacks to"):
        bring(house.images, lying, ("fake.example/e:1",))
    (built,) = house.images.load(str(docker_archive(tmp_path / "x.tar", ["built:1"], [TWO, THREE])))
    for number, image in enumerate((built.image_id, NAME, unseen)):
        with OciSink(str(tmp_path / f"out{number}"), "v1") as sink:
            written = push.push(house.images, image, sink)
        found = read((tmp_path / f"out{number}/blobs/sha256" / written[7:]).read_bytes())
        assert isinstance(found, Manifest) and found.layers[0].digest == digest(packed(TWO))


def test_several_images_and_several_names(house: House, tmp_path: Path) -> None:
    first, second = bring(house.images, Fake([ONE, TWO]), (NAME,)), bring(house.images, Fake([ONE]), ("fake.example/y:1",))
    other = House(tmp_path, "other")
    save.save(house.images, [NAME, "more:1"], str(tmp_path / "names.tar"))
    (loaded,) = other.images.load(str(tmp_path / "names.tar"))
    assert loaded.names == (NAME, "localhost/more:1")
    for form in ("docker-archive", "oci-archive", "oci-dir"):
        save.save(house.images, [NAME, second], str(tmp_path / f"many-{form}"), form, several=True)
        loaded = other.images.load(str(tmp_path / f"many-{form}"))
        assert {(one.image_id, one.names) for one in loaded} == {(first, (NAME,)), (second, ())}, form
    save.save(house.images, [NAME, "fake.example/y:1", "fake.example/y:1"], str(tmp_path / "many-oci-dir"), "oci-dir", several=True)
    loaded = other.images.load(str(tmp_path / "many-oci-dir"))
    assert {(one.image_id, one.names) for one in loaded} == {(first, (NAME,)), (second, ("fake.example/y:1",))}, "an entry each"
    for form in ("oci-archive", "oci-dir"):
        save.save(house.images, [NAME, "more:1"], str(tmp_path / f"names-{form}"), form)
        assert {name for one in other.images.load(str(tmp_path / f"names-{form}")) for name in one.names} == {NAME, "localhost/more:1"}
    other.close()
    for bad in (lambda: save.save(house.images, [NAME], str(tmp_path / "names.tar")),):
        with pytest.raises(AlreadyExists, match="modifying existing"):
            bad()
    with pytest.raises(InvalidInput, match="one image"):
        save.save(house.images, [NAME, second], str(tmp_path / "x"), "docker-dir", several=True)
    with pytest.raises(InvalidInput, match="is a directory"):
        save.save(house.images, [NAME], "-", "oci-dir")
    assert not (tmp_path / "x").exists()


def test_a_failed_save_leaves_nothing(house: House, tmp_path: Path) -> None:
    bring(house.images, Fake([ONE]), (NAME,), PullOptions(keep=False))
    os.unlink(f"{house.paths.layer(digest(ONE))}/fs/d/a")
    for form in save.FORMATS:
        with pytest.raises(Exception, match="as it was stored|cannot be"):
            save.save(house.images, [NAME], str(tmp_path / "out"), form)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == []


def test_sinks_that_do_not_fit(house: House, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/precious").write_text("x")
    for text in (f"dir:{tmp_path}/home", f"oci:{tmp_path}/home", f"docker-archive:{tmp_path}/home", f"oci-archive:{tmp_path}/home"):
        with pytest.raises((InvalidInput, Exception)), save.sink(location.parse(text), None):
            pass
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["precious"]
