"""Tiny images for tests, made on the spot from Debian's busybox-static: no registry, nothing stored in git.

`write_all(directory)` writes the five that the kubelet record's manifests name (busybox, entry, nameduser, numuser,
data, each docker.io/library/NAME:1); `image_archives` is a session fixture over it: a conftest imports it.
`layer`, `docker_archive` and `oci_archive` build anything else, hostile things included.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

PATH_ENV = ["PATH=/bin"]
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\napp:x:1234:2345:app:/home/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:2345:\nextra:x:3456:app\n"
WHO = ["sh", "-c", "id; echo HOME=$HOME"]
ENTRY = ["sh", "-c", 'echo entry "$0" "$@"; pwd; id']


class Member(NamedTuple):
    """One tar member; `type` a tarfile typeflag, `pax` extra PAX records."""

    name: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    mode: int = 0o644
    link: str = ""
    uid: int = 0
    gid: int = 0
    mtime: float = 0
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, str] = {}


def file(name: str, data: bytes = b"", mode: int = 0o644, **more: Any) -> Member:
    return Member(name, data, tarfile.REGTYPE, mode, **more)


def directory(name: str, mode: int = 0o755, **more: Any) -> Member:
    return Member(name, b"", tarfile.DIRTYPE, mode, **more)


def symlink(name: str, target: str, **more: Any) -> Member:
    return Member(name, b"", tarfile.SYMTYPE, 0o777, target, **more)


def hardlink(name: str, target: str) -> Member:
    return Member(name, b"", tarfile.LNKTYPE, 0o644, target)


def layer(members: Sequence[Member], format: int = tarfile.PAX_FORMAT) -> bytes:
    """An uncompressed tar of `members`, in their order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, encoding="utf-8", errors="surrogateescape") as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.mode, info.linkname, info.size = member.type, member.mode, member.link, len(member.data)
            info.uid, info.gid, info.mtime, info.pax_headers = member.uid, member.gid, member.mtime, dict(member.pax)
            info.devmajor, info.devminor = member.device
            archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(layers: Sequence[bytes], value: Mapping[str, Any] | None = None, **more: Any) -> bytes:
    """A configuration blob over uncompressed `layers`; `value` is its `config` object."""
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": value or {},
            "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "made for tests"}],
            **more,
        }
    ).encode()


def docker_archive(
    path: Path,
    names: Sequence[str],
    layers: Sequence[bytes],
    value: Mapping[str, Any] | None = None,
    *,
    stored: Sequence[bytes] | None = None,
    blob: bytes | None = None,
) -> Path:
    """As `docker save` writes it. `stored` replaces the layers' bytes (compressed ones), `blob` the configuration's."""
    blob = blob if blob is not None else config(layers, value)
    manifest = [{"Config": f"{digest(blob)[7:]}.json", "RepoTags": list(names), "Layers": [f"{n}/layer.tar" for n in range(len(layers))]}]
    members = [file(f"{digest(blob)[7:]}.json", blob)]
    members += [file(f"{n}/layer.tar", data) for n, data in enumerate(stored if stored is not None else layers)]
    path.write_bytes(layer([*members, file("manifest.json", json.dumps(manifest).encode())]))
    return path


def oci_layout(
    path: Path,
    name: str,
    layers: Sequence[bytes],
    value: Mapping[str, Any] | None = None,
    *,
    stored: Sequence[bytes] | None = None,
    media: str = "",
) -> Path:
    """An OCI image-layout directory with one image."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, Any]:
        (blobs / digest(data)[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    kind = "application/vnd.oci.image."
    descriptors = [put(data, media or f"{kind}layer.v1.tar") for data in (stored if stored is not None else layers)]
    described = put(config(layers, value), f"{kind}config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": f"{kind}manifest.v1+json", "config": described, "layers": descriptors}
    top = put(json.dumps(manifest).encode(), f"{kind}manifest.v1+json")
    top["annotations"] = {"org.opencontainers.image.ref.name": name}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return path


def oci_archive(path: Path, layout: Path) -> Path:
    """The tar of a layout."""
    with tarfile.open(path, "w") as archive:
        for name in ("oci-layout", "index.json", "blobs"):
            archive.add(layout / name, name)
    return path


def busybox_members() -> list[Member]:
    """A root file system: busybox with all its applets, users root, nobody and app (in groups app and extra)."""
    box = shutil.which("busybox")
    if box is None:
        pytest.skip("busybox not found: apt-get install busybox-static")
    listed = subprocess.run([box, "--list"], text=True, capture_output=True, check=True).stdout.split()
    modes = {"bin": 0o755, "etc": 0o755, "dev": 0o755, "proc": 0o755, "sys": 0o755, "tmp": 0o1777, "root": 0o700}
    return [
        *(directory(name, mode) for name, mode in modes.items()),
        file("bin/busybox", Path(box).read_bytes(), 0o755),
        file("etc/passwd", PASSWD),
        file("etc/group", GROUP),
        file("etc/os-release", b"ID=own\n"),
        *(symlink(f"bin/{applet}", "busybox") for applet in listed if applet != "busybox"),
    ]


def busybox_rootfs(path: Path) -> Path:
    """A plain tar for `image import`."""
    path.write_bytes(layer(busybox_members()))
    return path


def write_all(where: Path) -> dict[str, Path]:
    """The five images of the kubelet record: name -> docker-archive."""
    where.mkdir(parents=True, exist_ok=True)
    base = layer(busybox_members())
    data = layer([directory("sub"), file("hello.txt", b"hello from image volume\n"), file("sub/deep.txt", b"deep\n", 0o600)])
    images: dict[str, tuple[bytes, dict[str, Any]]] = {
        "busybox": (base, {"Env": PATH_ENV, "Cmd": ["sh"]}),
        "entry": (base, {"Env": [*PATH_ENV, "IMGVAR=fromimage"], "Entrypoint": ENTRY, "Cmd": ["defcmd"], "WorkingDir": "/tmp"}),
        "nameduser": (base, {"Env": PATH_ENV, "Cmd": WHO, "User": "app"}),
        "numuser": (base, {"Env": PATH_ENV, "Cmd": WHO, "User": "1234"}),
        "data": (data, {}),
    }
    return {
        name: docker_archive(where / f"{name}.tar", [f"docker.io/library/{name}:1"], [blob], value)
        for name, (blob, value) in images.items()
    }


@pytest.fixture(scope="session")
def image_archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The five archives, written once per session (and per xdist worker)."""
    return write_all(tmp_path_factory.mktemp("images"))
