"""Commands about images: listing, removing, pruning, mounting, trees, history, by the words and outputs of podman."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import images as make
from tests.support.cli import Kubeplay, installed

pytestmark = pytest.mark.root

BASE = make.layer([make.directory("etc"), make.file("etc/base", b"b" * 1000)])
MORE = make.layer([make.file("more", b"m" * 500)])
TOP = make.layer([make.file("top", b"t" * 20), make.file("etc/.wh.base")])


def history(count: int) -> list[dict[str, str]]:
    return [{"created": f"2026-01-0{n + 1}T00:00:00Z", "created_by": f"step {n}", "comment": f"c{n}"} for n in range(count)]


def archive(where: Path, names: list[str], layers: list[bytes], day: int = 1, labels: dict[str, str] | None = None) -> str:
    blob = make.config(layers, {"Labels": labels or {}}, history=history(len(layers)), created=f"2026-01-0{day}T00:00:00Z")
    return str(make.docker_archive(where / f"{names[0].replace('/', '_')}.tar", names, layers, blob=blob))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubeplay]:
    yield from installed(tmp_path_factory.mktemp("kp"))


@pytest.fixture
def kp(machine: Kubeplay, tmp_path: Path) -> Iterator[Kubeplay]:
    """base:1, more:1 and more:2 upon it, top:1 upon that."""
    machine("load", "-qi", archive(tmp_path, ["localhost/base:1"], [BASE], 1, {"kind": "base"}))
    machine("load", "-qi", archive(tmp_path, ["localhost/more:1", "localhost/more:2"], [BASE, MORE], 2))
    machine("load", "-qi", archive(tmp_path, ["localhost/top:1"], [BASE, MORE, TOP], 3))
    yield machine
    machine("rmi", "-af")
    assert machine("images", "-q").out == "" and not [n for n in os.listdir(machine.root / "layers") if not n.startswith(".empty")]


def names(kp: Kubeplay, *words: str) -> list[str]:
    return kp("images", "--format", "{{.Repository}}:{{.Tag}}", *words).lines


def test_listing(kp: Kubeplay) -> None:
    assert names(kp) == ["localhost/top:1", "localhost/more:1", "localhost/more:2", "localhost/base:1"]
    assert names(kp, "--filter", "before=more:1") == ["localhost/base:1"]
    assert names(kp, "--filter", "since=more:1") == ["localhost/top:1"]
    assert (
        names(kp, "--filter", "reference=m*")
        == names(kp, "--filter", "reference=localhost/more")
        == ["localhost/more:1", "localhost/more:2"]
    )
    assert names(kp, "--filter", "until=2026-01-02") == ["localhost/base:1"]
    assert names(kp, "--filter", "label=kind=base") == ["localhost/base:1"] and len(names(kp, "--filter", "label!=kind")) == 3
    assert names(kp, "--sort", "repository") == sorted(names(kp)) and names(kp, "--sort", "size")[0] == "localhost/base:1"
    assert (
        names(kp, "--filter", "containers=true") == names(kp, "--filter", "readonly=true") == names(kp, "--filter", "dangling=true") == []
    )
    one = kp("images", "--filter", "id=" + kp("images", "-q", "top:1").out.strip(), "--format", "json").json
    assert [image["Names"] for image in one] == [["localhost/top:1"]] and one[0]["History"] == ["localhost/top:1"]
    parent = kp("image", "inspect", "more:1").json[0]
    assert one[0]["ParentId"] == parent["Id"] and parent["Parent"] == kp("image", "inspect", "base:1").json[0]["Id"]
    assert names(kp, "--filter", "digest=" + parent["Digest"]) == ["localhost/more:1", "localhost/more:2"]
    assert kp("images", "--filter", "colour=red", status=125).err.count("unknown key") == 1


def test_names(kp: Kubeplay) -> None:
    kp("tag", "base:1", "other", "quay.io/x/y:2")
    kp("untag", "base:1", "other")
    assert (
        kp("images", "--history", "--filter", "reference=base:1")
        .lines[1]
        .endswith("quay.io/x/y:2, localhost/other:latest, localhost/base:1")
    )
    assert "tag not known" in kp("untag", "base:1", "nope", status=125).err
    kp("image", "untag", "more:1")
    assert kp("image", "exists", "more:1", status=1).out == "" and kp("images", "--filter", "dangling=true").lines[1:] == []
    # it is intermediate now: top was made from it
    assert len(kp("images", "--filter", "intermediate=true", "-q").lines) == 1 and len(kp("images", "-aq").lines) == 3


def test_removal(kp: Kubeplay) -> None:
    identity = kp("images", "-q", "--no-trunc", "more:1").out.strip().removeprefix("sha256:")
    assert kp("rmi", "more:2").out == "Untagged: localhost/more:2\n"
    kp("tag", "more:1", "more:3")
    assert "several names" in kp("rmi", identity, status=2).err
    kp("untag", "more:1", "more:1", "more:3")
    above = kp("rmi", "top:1").lines  # its nameless parent goes with it
    assert above[0] == "Untagged: localhost/top:1" and above[2] == f"Deleted: {identity}" and len(above) == 3
    assert kp("rmi", "gone:1", status=1).err and kp("rmi", "-i", "gone:1").out == kp("rmi", "-f", "gone:1").out == ""
    kp("tag", "base:1", "base:2")
    several = kp("rmi", "gone:1", "base:2", "gone:2", status=1)
    assert several.out == "Untagged: localhost/base:2\n" and several.err.count("image not known") == 2
    assert names(kp) == ["localhost/base:1"]


def test_no_prune_keeps_the_parent(kp: Kubeplay) -> None:
    kp("untag", "more:1")
    assert len(kp("rmi", "--no-prune", "top:1").lines) == 2
    assert len(kp("images", "--filter", "dangling=true", "-q").lines) == 1
    assert len(kp("image", "prune", "-f").lines) == 1


def test_prune(kp: Kubeplay) -> None:
    assert "terminal" in kp("image", "prune", status=125).err
    assert kp("image", "prune", "-f").out == ""
    kp("untag", "top:1")
    assert kp("image", "prune", "-f", "--filter", "until=2026-01-02").out == ""
    assert len(kp("image", "prune", "-f", "--filter", "label!=kind").lines) == 1
    assert len(kp("image", "prune", "-af", "--filter", "label=kind=base").lines) == 1
    assert names(kp) == ["localhost/more:1", "localhost/more:2"]
    assert kp("image", "prune", "-f", "--filter", "label", status=125).err


def test_mounts(kp: Kubeplay) -> None:
    where = Path(kp("image", "mount", "top:1").out.strip())
    assert sorted(os.listdir(where)) == ["etc", "more", "top"] and os.listdir(where / "etc") == []
    with pytest.raises(OSError, match="Read-only"):
        (where / "x").write_text("")
    kp("image", "mount", "top:1")
    assert kp("image", "mount").out == f"localhost/top:1  {where}\n"
    assert kp("image", "mount", "--format", "json").json[0]["mountpoint"] == str(where)
    assert "mounted" in kp("rmi", "top:1", status=2).err and kp("image", "prune", "-af").lines  # the others
    kp("image", "unmount", "top:1")
    assert where.exists()
    kp("image", "unmount", "top:1")
    assert not where.exists() and kp("image", "unmount", "top:1").out == ""
    kp("image", "mount", "-a")
    assert kp("rmi", "-f", "top:1").lines[0] == "Untagged: localhost/top:1" and not where.exists()


def test_tree_history_diff_inspect(kp: Kubeplay) -> None:
    tree = kp("image", "tree", "top:1").lines
    assert tree[1] == "Tags:     [localhost/top:1]" and tree[3] == "Image Layers"
    assert [line[:3] for line in tree[4:]] == ["├──", "├──", "└──"] and tree[5].endswith(
        "Top Layer of: [localhost/more:1 localhost/more:2]"
    )
    assert kp("image", "tree", "--whatrequires", "base:1").lines[-1].endswith("[localhost/top:1]")
    steps = kp("history", "--format", "json", "top:1").json
    assert [(s["CreatedBy"], s["size"]) for s in steps] == [("step 2", 20), ("step 1", 500), ("step 0", 1000)]
    assert kp("history", "-q", "top:1").lines[1:] == ["<missing>", "<missing>"]
    assert kp("history", "--human=false", "--format", "{{.CreatedBy}} {{.Size}}", "base:1").out == "step 0 1000\n"
    assert kp("image", "diff", "top:1").lines == ["C /etc", "D /etc/base", "A /top"]
    assert kp("diff", "--format", "json", "more:1", "base:1").json == {"added": ["/more"]}
    assert kp("history", "--no-trunc", "--format", "{{.ID}} {{.Tags}}", "base:1").out.endswith(" [localhost/base:1]\n")
    shown = kp("image", "inspect", "top:1").json[0]
    assert shown["ManifestType"].endswith("manifest.v2+json") and shown["NamesHistory"] == ["localhost/top:1"]
    assert shown["GraphDriver"]["Data"]["UpperDir"].endswith("/fs") and json.dumps(shown["RootFS"])


def test_templates_know_what_go_knows(kp: Kubeplay) -> None:
    """Fields that JSON leaves out, as scripts ask for them."""
    fields = "{{.Config.WorkingDir}}|{{.Config.Entrypoint}}|{{.Config.Volumes}}|{{.HealthCheck}}|{{if .Config.Healthcheck}}x{{end}}"
    assert kp("image", "inspect", "-f", fields, "base:1").out == "|[]|map[]|<nil>|\n"
    assert kp("inspect", "-f", "{{json .Config}}", "base:1").json == {"Labels": {"kind": "base"}}
    assert "Labels:\n    kind: base" in kp("image", "inspect", "-f", "yaml", "base:1").out
    listed = kp("images", "base:1", "--format", "{{.Id}} {{.ReadOnly}} {{.Containers}} {{.Dangling}} {{.RepoTags}}").out.split(" ", 1)
    assert len(listed[0]) == 64 and listed[1] == "false 0 false [localhost/base:1]\n"


def test_inspect_of_several(kp: Kubeplay) -> None:
    for words in (("image", "inspect"), ("inspect",)):
        said = kp(*words, "base:1", "gone", "more:1", "-f", "{{.RepoTags}}", status=125)
        assert said.lines == ["[localhost/base:1]", "[localhost/more:1 localhost/more:2]"] and "gone" in said.err
        assert kp(*words, "gone", status=125).json == []


def test_import_for_another_platform(kp: Kubeplay, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(BASE)
    kp("import", "--arch", "arm64", "--variant", "v8", "--os", "freebsd", str(tmp_path / "root.tar"), "away:1")
    assert kp("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}/{{.Variant}}", "away:1").out == "freebsd/arm64/v8\n"


def test_diff_of_an_opaque_directory(machine: Kubeplay, tmp_path: Path) -> None:
    hiding = make.layer([make.directory("etc"), make.file("etc/.wh..wh..opq"), make.file("etc/new")])
    machine("load", "-qi", archive(tmp_path, ["localhost/opaque:1"], [BASE, hiding]))
    assert machine("image", "diff", "opaque:1").lines == ["C /etc", "D /etc/base", "A /etc/new"]
    machine("image", "mount", "opaque:1")  # and so it stays: the fixture's `system reset` has to cope


def test_import_from_a_url(kp: Kubeplay) -> None:
    from tests.support.hostile_registry import hostile, says

    data = make.layer([make.file("f", b"from afar")])
    with hostile() as server:
        server.on("GET /root.tar", says(200, data))
        image = kp("import", "-q", f"http://{server.address}/root.tar", "afar:1").out.strip()
        assert make.digest(data) in kp("image", "inspect", image).out
        assert f"Imported from http://{server.address}/root.tar" in kp("history", image).out
        assert "404" in kp("import", f"http://{server.address}/none.tar", status=125).err
    kp("rmi", "afar:1")
