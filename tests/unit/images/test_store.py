"""The image store: loading every format, names, removal, and what hostile archives cannot do."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kubeplay.config import Settings
from kubeplay.engine.host.paths import Paths
from kubeplay.engine.images.store import ImageStore, Loaded
from kubeplay.engine.store.db import Store
from kubeplay.engine.store.images import ImageRow
from kubeplay.engine.store.runtime import ContainerRow
from kubeplay.errors import Ambiguous, Conflict, Exhausted, InvalidInput, NotFound, NotSupported
from tests.support.images import (
    Member,
    config,
    digest,
    directory,
    docker_archive,
    file,
    layer,
    oci_archive,
    oci_layout,
    symlink,
    write_all,
)

pytestmark = pytest.mark.root
ONE, TWO = layer([directory("d"), file("d/a", b"one")]), layer([file("d/b", b"two")])
NAME = "docker.io/library/x:1"


class House:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.paths = Paths(Settings(root=str(base / "root"), runroot=str(base / "run")))
        self.store = Store(self.paths.database)
        self.images = ImageStore(self.store, self.paths)

    def load(self, path: Path) -> tuple[Loaded, ...]:
        return self.images.load(str(path))

    def row(self, name: str) -> ImageRow:
        found = self.images.resolve(name)
        assert found is not None
        return found

    def is_empty(self) -> bool:
        layers = f"{self.paths.root}/layers"
        return not self.images.list() and not (os.path.isdir(layers) and os.listdir(layers))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_docker_archive(house: House, tmp_path: Path) -> None:
    (loaded,) = house.load(docker_archive(tmp_path / "x.tar", [NAME, "quay.io/t/x:2"], [ONE, TWO], {"Env": ["A=1"], "Cmd": ["sh"]}))
    assert loaded.lines() == [f"Loaded image: {NAME}", "Loaded image: quay.io/t/x:2"]
    row = house.row("x:1")
    assert row.id == loaded.image_id == digest(config([ONE, TWO], {"Env": ["A=1"], "Cmd": ["sh"]}))
    assert row.layers == (digest(ONE), digest(TWO)) and row.size == 6 and row.created == 1767225600.0
    assert house.images.config(row.id).cmd == ("sh",)
    assert house.images.names(row.id) == (NAME, "quay.io/t/x:2")
    manifest = house.images.manifest(row.id)
    assert digest(manifest) == row.manifest_digest
    assert [item["digest"] for item in json.loads(manifest)["layers"]] == list(row.layers)
    assert json.loads(manifest)["config"]["digest"] == row.id


@pytest.mark.parametrize("pack", [lambda d: d, lambda d: gzip.compress(d, mtime=0)], ids=["plain", "gzip"])
@pytest.mark.parametrize("archived", [True, False])
def test_oci(house: House, tmp_path: Path, pack: Callable[[bytes], bytes], archived: bool) -> None:
    layout = oci_layout(tmp_path / "layout", "localhost/x:1", [ONE, TWO], {"Cmd": ["sh"]}, stored=[pack(ONE), pack(TWO)])
    (loaded,) = house.load(oci_archive(tmp_path / "x.tar", layout) if archived else layout)
    row = house.row("localhost/x:1")
    assert row.id == loaded.image_id and row.layers == (digest(ONE), digest(TWO))
    top = json.loads((layout / "index.json").read_text())["manifests"][0]
    assert row.manifest_digest == top["digest"]
    assert digest(house.images.manifest(row.id)) == top["digest"]
    assert house.images.layers.meta(digest(ONE)).blob == digest(pack(ONE))


@pytest.mark.parametrize(
    ("annotation", "name"), [("x:1", "localhost/x:1"), ("latest", ""), ("docker.io/library/x:1", NAME), ("quay.io/a/b:c", "quay.io/a/b:c")]
)
def test_names_of_oci_layouts(house: House, tmp_path: Path, annotation: str, name: str) -> None:
    (loaded,) = house.load(oci_layout(tmp_path / "layout", annotation, [ONE]))
    assert loaded.names == ((name,) if name else ())
    assert loaded.lines() == [f"Loaded image: {name or loaded.image_id}"]


def test_oci_index_for_several_platforms(house: House, tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", "x", [ONE])
    ours = json.loads((layout / "index.json").read_text())["manifests"][0]
    from kubeplay.engine.images.formats import architecture

    ours["platform"] = {"os": "linux", "architecture": architecture()}
    other = {**ours, "digest": "sha256:" + "0" * 64, "platform": {"os": "linux", "architecture": "vax"}}
    proof = {**ours, "digest": "sha256:" + "1" * 64, "platform": {}, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    nested = json.dumps({"schemaVersion": 2, "manifests": [other, proof, ours]}).encode()
    (layout / "blobs/sha256" / digest(nested)[7:]).write_bytes(nested)
    top = {"digest": digest(nested), "size": len(nested), "annotations": {"io.containerd.image.name": NAME}}
    (layout / "index.json").write_text(json.dumps({"manifests": [top]}))
    assert house.load(layout)[0].names == (NAME,)
    (layout / "index.json").write_text(json.dumps({"manifests": [other, {**other, "digest": "sha256:" + "2" * 64}]}))
    with pytest.raises(NotFound, match="no image for linux/"):
        house.load(layout)


def test_compressed_archive_and_layers(house: House, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "x.tar", [NAME], [ONE, TWO], stored=[gzip.compress(ONE), TWO])
    path.write_bytes(gzip.compress(path.read_bytes()))
    house.load(path)
    assert house.row("x:1").layers == (digest(ONE), digest(TWO))
    assert not [name for name in os.listdir(f"{house.paths.root}/layers") if name.startswith(".")]


def test_several_images_share_layers(house: House, tmp_path: Path) -> None:
    configs = [config([ONE], {"Cmd": ["a"]}), config([ONE, TWO], {"Cmd": ["b"]})]
    manifest = [
        {"Config": "a.json", "RepoTags": ["a:1"], "Layers": ["one/layer.tar"]},
        {"Config": "b.json", "RepoTags": None, "Layers": ["link/layer.tar", "two.tar"]},
    ]
    members = [
        file("a.json", configs[0]), file("b.json", configs[1]), file("one/layer.tar", ONE), file("two.tar", TWO),
        symlink("link/layer.tar", "../one/layer.tar"), file("repositories", b"{}"), file("manifest.json", json.dumps(manifest).encode()),
    ]  # fmt: skip
    (tmp_path / "x.tar").write_bytes(layer(members))
    first, second = house.load(tmp_path / "x.tar")
    assert first.names == ("docker.io/library/a:1",) and second.names == ()
    assert house.images.layers.list() == sorted([digest(ONE), digest(TWO)])
    assert house.images.list()[0].row.id in (first.image_id, second.image_id)


def test_the_five_images_of_the_record(house: House, tmp_path: Path) -> None:
    for name, path in write_all(tmp_path / "five").items():
        assert house.load(path)[0].names == (f"docker.io/library/{name}:1",)
    assert len(house.images.layers.list()) == 2
    entry = house.images.config(house.row("entry:1").id)
    assert entry.working_dir == "/tmp" and entry.cmd == ("defcmd",) and "IMGVAR=fromimage" in entry.env
    assert [house.images.config(house.row(f"{n}:1").id).user for n in ("nameduser", "numuser", "data")] == ["app", "1234", ""]


def test_loading_again_changes_nothing_and_a_name_moves(house: House, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "x.tar", [NAME], [ONE])
    assert house.load(path) == house.load(path)
    old = house.row("x:1").id
    house.load(docker_archive(tmp_path / "y.tar", [NAME], [TWO]))
    assert house.row("x:1").layers == (digest(TWO),)
    assert house.images.names(old) == () and house.row(old).id == old


# import
def test_import(house: House, tmp_path: Path) -> None:
    (tmp_path / "rootfs.tar").write_bytes(ONE)
    image_id = house.images.import_tar(
        str(tmp_path / "rootfs.tar"), "localhost/bb:1", ["ENV PATH=/bin", 'CMD ["sh"]', "WORKDIR /srv"], "mine"
    )
    row = house.row("localhost/bb:1")
    assert row.id == image_id and row.layers == (digest(ONE),)
    found = house.images.config(image_id)
    assert (found.env, found.cmd, found.working_dir) == (("PATH=/bin",), ("sh",), "/srv")
    assert json.loads(row.config)["history"][0]["comment"] == "mine" and json.loads(row.config)["os"] == "linux"


def test_import_compressed_short_name_and_no_name(house: House, tmp_path: Path) -> None:
    (tmp_path / "rootfs.tgz").write_bytes(gzip.compress(ONE))
    house.images.import_tar(str(tmp_path / "rootfs.tgz"), "bb")
    assert house.row("bb").id == house.row("localhost/bb:latest").id
    assert house.images.names(house.images.import_tar(str(tmp_path / "rootfs.tgz"), changes=["USER app"])) == ()


def test_import_refuses(house: House, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(ONE)
    for path, name, changes, error in [
        ("missing", "", [], NotFound), ("x", "UPPER", [], InvalidInput), ("x", "a@sha256:" + "0" * 64, [], InvalidInput),
        ("x", "", ["RUN x"], InvalidInput), (".", "", [], InvalidInput),
    ]:  # fmt: skip
        with pytest.raises(error):
            house.images.import_tar(str(tmp_path / path), name, changes)
    (tmp_path / "x").write_bytes(b"not a tar at all" * 100)
    with pytest.raises(InvalidInput, match="damaged"):
        house.images.import_tar(str(tmp_path / "x"))
    assert house.is_empty()


# names and ids
def test_resolve(house: House, tmp_path: Path) -> None:
    house.load(docker_archive(tmp_path / "x.tar", [NAME, "localhost/y:latest", "quay.io/t/z:3"], [ONE]))
    row = house.row("x:1")
    digest_hex = row.id[7:]
    by_id = (row.id, digest_hex, digest_hex[:12], digest_hex[:3], f"sha256:{digest_hex[:10]}")
    by_name = (NAME, "docker.io/x:1", "y", "localhost/y", "quay.io/t/z:3", f"x@{row.manifest_digest}", f"x:9@{row.manifest_digest}")
    for name in by_id + by_name:
        assert house.row(name) == row, name
    for name in ("x", "x:2", "t/z:3", "0" * 64, "sha256:" + "0" * 64, digest_hex[:2], f"w@{row.manifest_digest}", "x@sha256:" + "0" * 64):
        assert house.images.resolve(name) is None, name
    with pytest.raises(InvalidInput, match="invalid reference format"):
        house.images.resolve("Not/A Name")
    with pytest.raises(NotFound, match="image not known"):
        house.images.get("nothing")
    assert house.images.exists("x:1") and not house.images.exists("x:2")


def test_docker_names_win_over_local_ones_and_names_over_ids(house: House, tmp_path: Path) -> None:
    house.load(docker_archive(tmp_path / "x.tar", ["localhost/x:1"], [ONE]))
    local = house.row("x:1").id
    house.load(docker_archive(tmp_path / "y.tar", [NAME], [TWO]))
    assert house.row("x:1").id != local and house.row("localhost/x:1").id == local
    house.images.tag(local, f"docker.io/library/{house.row('docker.io/x:1').id[7:15]}:latest")
    assert house.row(house.row("docker.io/x:1").id[7:15]).id == local


def test_ambiguous_prefix(house: House) -> None:
    for tail in "01":
        house.store.images.add(ImageRow("sha256:" + "abcd" + tail * 60, "{}", (), 0, "", 0))
    with pytest.raises(Ambiguous, match="2 images"):
        house.images.resolve("abcd")
    assert house.row("abcd0").id.endswith("0")


def test_tag_and_untag(house: House, tmp_path: Path) -> None:
    house.load(docker_archive(tmp_path / "x.tar", [NAME], [ONE]))
    house.images.tag("x:1", "short", "quay.io/a/b:2")
    assert house.images.names(house.row("x:1").id) == (NAME, "localhost/short:latest", "quay.io/a/b:2")
    with pytest.raises(NotFound, match="tag not known"):
        house.images.untag("x:1", "other:1")
    assert house.images.untag("x:1", "quay.io/a/b:2") == ("quay.io/a/b:2",)
    image_id = house.row("x:1").id
    assert len(house.images.untag("x:1")) == 2 and house.images.names(image_id) == () and house.row(image_id)
    with pytest.raises(NotFound):
        house.images.tag("nothing", "x")


# removal
def test_remove(house: House, tmp_path: Path) -> None:
    house.load(docker_archive(tmp_path / "x.tar", [NAME, "x:2"], [ONE, TWO]))
    house.load(docker_archive(tmp_path / "y.tar", ["y:1"], [ONE]))
    image_id = house.row("x:1").id
    assert house.images.remove("x:2").lines() == ["Untagged: docker.io/library/x:2"]
    assert house.images.remove("x:1").lines() == [f"Untagged: {NAME}", f"Deleted: {image_id[7:]}"]
    assert house.images.layers.list() == [digest(ONE)]
    house.images.remove(house.row("y:1").id[7:19])
    assert house.is_empty() and os.listdir(f"{house.paths.root}/images") == []
    with pytest.raises(NotFound):
        house.images.remove("x:1")


def test_remove_by_id_with_several_names_needs_force(house: House, tmp_path: Path) -> None:
    house.load(docker_archive(tmp_path / "x.tar", [NAME, "x:2"], [ONE]))
    image_id = house.row("x:1").id
    with pytest.raises(Conflict, match="several names"):
        house.images.remove(image_id)
    assert len(house.images.remove(image_id, force=True).untagged) == 2
    assert house.is_empty()


def test_remove_of_an_image_in_use(house: House, tmp_path: Path) -> None:
    house.load(docker_archive(tmp_path / "x.tar", [NAME, "x:2"], [ONE]))
    image_id = house.row("x:1").id
    house.store.runtime.add_container(ContainerRow("c1", "pod", "s", "main", "app", 0, "running", "b", 1, 1, "x:1", image_id, 0.0))
    house.images.remove("x:2")  # the image keeps a name
    for force in (False, True):
        with pytest.raises(Conflict, match="in use by container c1"):
            house.images.remove("x:1", force=force)
    assert house.row("x:1").id == image_id and house.images.layers.has(digest(ONE))
    assert house.images.remove("x:1", in_use=lambda _: ()).deleted == (image_id,)


# hostile archives
def manifest_of(*entries: Mapping[str, Any]) -> bytes:
    return json.dumps(list(entries)).encode()


@pytest.mark.parametrize(
    "members",
    [
        [],
        [file("readme")],
        [file("manifest.json", b"{}")],
        [file("manifest.json", b"[]")],
        [file("manifest.json", b"[1]")],
        [file("manifest.json", b"x")],
        [file("manifest.json", manifest_of({"Config": 1, "Layers": []}))],
        [file("manifest.json", manifest_of({"Config": "../../etc/passwd", "Layers": []}))],
        [file("manifest.json", manifest_of({"Config": "c", "RepoTags": "x", "Layers": []})), file("c", config([]))],
        [file("manifest.json", manifest_of({"Config": "c", "RepoTags": ["../X"], "Layers": []})), file("c", config([]))],
        [file("manifest.json", manifest_of({"Config": "c", "Layers": ["l"]})), file("c", config([])), file("l", ONE)],
        [file("manifest.json", manifest_of({"Config": "c", "Layers": []})), file("c", config([ONE]))],
        [file("manifest.json", manifest_of({"Config": "c", "Layers": ["l"]})), file("c", config([TWO])), file("l", ONE)],
        [file("manifest.json", manifest_of({"Config": "c", "Layers": ["l"]})), file("c", config([ONE])), file("l", ONE[:-700])],
        [file("manifest.json", manifest_of({"Config": "c", "Layers": ["l"]})), file("c", config([ONE], {"Env": [1]})), file("l", ONE)],
        [
            file("manifest.json", manifest_of({"Config": "c", "Layers": ["l"]})),
            file("c", config([ONE], {"User": "4294967296"})),
            file("l", ONE),
        ],
        [file("manifest.json", manifest_of({"Config": "loop", "Layers": []})), symlink("loop", "loop")],
        [symlink("manifest.json", "/etc/passwd")],
        [file("../manifest.json", manifest_of())],
        [Member("manifest.json", type=tarfile.FIFOTYPE)],
    ],
    ids=lambda members: f"{len(members)}-{members[0].data[:60]!r}" if members else "empty",
)
def test_bad_docker_archives_leave_nothing(house: House, tmp_path: Path, members: list[Member]) -> None:
    (tmp_path / "x.tar").write_bytes(layer(members))
    with pytest.raises((InvalidInput, NotFound)):
        house.load(tmp_path / "x.tar")
    assert house.is_empty()


def test_version_1_archives_are_named_as_such(house: House, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(layer([file("repositories", b"{}")]))
    with pytest.raises(NotSupported, match="version 1"):
        house.load(tmp_path / "x.tar")


def change(layout: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite the manifest of a one-image layout, consistently."""
    index = json.loads((layout / "index.json").read_text())
    top = index["manifests"][0]
    manifest = json.loads((layout / "blobs/sha256" / top["digest"][7:]).read_text())
    edit(manifest)
    data = json.dumps(manifest).encode()
    top["digest"], top["size"] = digest(data), len(data)
    (layout / "blobs/sha256" / digest(data)[7:]).write_bytes(data)
    (layout / "index.json").write_text(json.dumps(index))


def test_cve_2021_41190_manifest_that_is_also_an_index(house: House, tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", "x:1", [ONE])
    change(layout, lambda manifest: manifest.update(manifests=[]))
    with pytest.raises(InvalidInput, match="neither clearly"):
        house.load(layout)


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["layers"][0].update(digest="sha256:../../../../etc/passwd"),
        lambda m: m["layers"][0].update(digest="md5:" + "a" * 32),
        lambda m: m["layers"][0].update(digest=None),
        lambda m: m["layers"][0].update(size=-1),
        lambda m: m["layers"][0].update(size=True),
        lambda m: m["layers"][0].update(size=1),
        lambda m: m["layers"][0].update(m["config"]),
        lambda m: m["config"].update(m["layers"][0]),
        lambda m: m.update(layers={}),
        lambda m: m.update(layers=[1]),
        lambda m: m.update(config=[]),
        lambda m: m.clear(),
    ],
)
def test_bad_oci_manifests_leave_nothing(house: House, tmp_path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    layout = oci_layout(tmp_path / "layout", "x:1", [ONE])
    change(layout, edit)
    with pytest.raises((InvalidInput, NotFound)):
        house.load(layout)
    assert house.is_empty()


@pytest.mark.parametrize("blob", ["manifest", "config", "layer"])
def test_tampered_blobs_leave_nothing(house: House, tmp_path: Path, blob: str) -> None:
    layout = oci_layout(tmp_path / "layout", "x:1", [ONE], stored=[gzip.compress(ONE, mtime=0)])
    top = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads((layout / "blobs/sha256" / top[7:]).read_text())
    found = {"manifest": top, "config": manifest["config"]["digest"], "layer": manifest["layers"][0]["digest"]}[blob]
    path = layout / "blobs/sha256" / found[7:]
    data = bytearray(path.read_bytes())
    data[5 if blob == "layer" else -2] ^= 1  # in a gzip layer: its time stamp, so that the content stays right
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="does not match"):
        house.load(layout)
    assert house.is_empty()


@pytest.mark.parametrize(
    "media", ["application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"]
)
def test_foreign_layers_are_refused(house: House, tmp_path: Path, media: str) -> None:
    with pytest.raises(NotSupported, match="layer of type"):
        house.load(oci_layout(tmp_path / "layout", "x:1", [ONE], media=media))


def test_endless_indexes_are_refused(house: House, tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", "x:1", [ONE])
    top = json.loads((layout / "index.json").read_text())["manifests"][0]
    for _ in range(10):
        data = json.dumps({"manifests": [top]}).encode()
        (layout / "blobs/sha256" / digest(data)[7:]).write_bytes(data)
        top = {"digest": digest(data), "size": len(data)}
    (layout / "index.json").write_text(json.dumps({"manifests": [top]}))
    with pytest.raises(InvalidInput, match="nested"):
        house.load(layout)


def test_links_out_of_a_layout_directory_are_not_followed(house: House, tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", "x:1", [ONE])
    for path in [layout / "index.json", *(layout / "blobs/sha256").iterdir()]:
        moved = tmp_path / path.name
        path.rename(moved)
        path.symlink_to(moved)
    with pytest.raises(InvalidInput, match="not an image archive"):
        house.load(layout)


def test_a_layout_of_fifos_does_not_hang(house: House, tmp_path: Path) -> None:
    (tmp_path / "layout").mkdir()
    os.mkfifo(tmp_path / "layout/manifest.json")
    with pytest.raises(InvalidInput):
        house.load(tmp_path / "layout")


def test_huge_configuration_is_not_read(house: House, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "x.tar", [], [], blob=b" " * (5 << 20))
    with pytest.raises(InvalidInput, match="the limit is"):
        house.load(path)


def test_failed_load_keeps_what_was_there_and_goes_on_where_it_was(house: House, tmp_path: Path) -> None:
    """The first layer of a load that fails later stays unused: the next load uses it, a removal collects it."""
    path = docker_archive(tmp_path / "x.tar", [NAME], [ONE, TWO], stored=[ONE, TWO[:-600]])
    with pytest.raises(InvalidInput):
        house.load(path)
    assert house.images.list() == [] and house.images.layers.list() == [digest(ONE)]
    assert house.images.collect() == (digest(ONE),) and house.is_empty()


def test_full_disk(tmp_path: Path) -> None:
    from kubeplay.engine.host import syscalls

    small = tmp_path / "small"
    small.mkdir()
    syscalls.mount("tmpfs", str(small), "tmpfs", 0, "size=3m")
    try:
        made = House(small)
        big = layer([file("big", os.urandom(8 << 20))])
        path = docker_archive(tmp_path / "x.tar", [NAME], [big])
        for archive in (path.read_bytes(), gzip.compress(path.read_bytes(), 1)):
            path.write_bytes(archive)
            with pytest.raises(Exhausted, match="no space left"):
                made.load(path)
            assert made.is_empty()
        made.load(docker_archive(tmp_path / "y.tar", [NAME], [ONE]))
        made.store.close()
    finally:
        syscalls.umount(str(small))
