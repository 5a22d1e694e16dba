"""Against Debian's docker-registry: TLS, users, token server, client certificates; login, logout, search; uploads and mounts."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import stat
import subprocess
import sys
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kubeplay.engine.images import descriptor, reference
from kubeplay.engine.images.descriptor import Descriptor, Manifest
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.conf import Registries
from kubeplay.engine.images.registry.sink import RegistrySink
from kubeplay.engine.images.registry.source import RegistrySource
from kubeplay.errors import NotFound, RegistryError, Unauthorized
from tests.support.cli import ROOT, Said
from tests.support.cutting import cutting
from tests.support.images import digest, file, layer
from tests.support.registry import Registry, registry, skopeo

pytestmark = pytest.mark.root
NONE = Registries()
USERS = {"me": "secret", "you": "other"}
LAYER = layer([file("hello", b"hello")])
BIG = bytes(range(256)) * 4096 * 20  # 20 MiB: more than is kept for going on


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("plain")) as hub:
        yield hub


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("users"), tls=True, users=USERS) as hub:
        hub.put_image("team/app", "1", [LAYER])
        yield hub


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(tmp_path_factory.mktemp("tokens"), tls=True, users=USERS, tokens=True, anonymous=True) as hub:
        hub.put_image("team/app", "1", [LAYER])
        yield hub


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "registries.conf").touch()
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)


def access(hub: Registry, creds: str = "", **more: object) -> Access:
    made = Access(tls_verify=None if hub.certs else False, cert_dir=str(hub.certs.cert_dir) if hub.certs else "", creds=creds)
    return made._replace(**more)


def manifest(hub: Registry, name: str, how: Access) -> Manifest:
    with RegistrySource(reference.parse(hub.name(name)), how, NONE) as there:
        document = there.manifest()
        found = descriptor.read(document.raw, document.media_type)
    assert isinstance(found, Manifest)
    return found


def blob(data: bytes) -> Descriptor:
    return Descriptor(descriptor.OCI_LAYER, digest(data), len(data))


# reading
def test_users(users: Registry) -> None:
    found = manifest(users, "team/app:1", access(users, "me:secret"))
    assert found.layers[0].digest == digest(LAYER)
    for creds in ("", "me:wrong", "nobody:secret"):
        with pytest.raises(Unauthorized, match=r"team/app:1: .*authentication required"):
            manifest(users, "team/app:1", access(users, creds))
    with pytest.raises(NotFound, match="team/app:9: there is no such image"):
        manifest(users, "team/app:9", access(users, "me:secret"))


def test_tokens(tokens: Registry) -> None:
    assert tokens.tokens is not None
    del tokens.tokens.requests[:]
    assert manifest(tokens, "team/app:1", access(tokens, "me:secret")).layers
    assert manifest(tokens, "team/app:1", access(tokens)).layers, "anonymously"
    assert [user for _, _, user in tokens.tokens.requests] == ["me", ""]
    with pytest.raises(Unauthorized, match="its token server .* refuses user 'me'"):
        manifest(tokens, "team/app:1", access(tokens, "me:wrong"))
    with RegistrySink(reference.parse(tokens.name("team/app:2")), access(tokens), NONE) as there, pytest.raises(Unauthorized):
        there.put_blob(blob(b"x"), io.BytesIO(b"x"))


def test_tokens_that_end_are_bought_anew(tmp_path: Path) -> None:
    """The registry's clock decides: a token that is over at once works only because it is asked for again."""
    with registry(tmp_path / "hub", users=USERS, tokens=True, seconds=-100) as hub:
        with pytest.raises(Unauthorized):
            manifest(hub, "team/app:1", access(hub, "me:secret"))
        assert hub.tokens is not None
        hub.tokens.seconds = 300
        hub.put_image("team/app", "1", [LAYER])
        hub.tokens.seconds = -100
        with RegistrySource(reference.parse(hub.name("team/app:1")), access(hub, "me:secret"), NONE) as there:
            with pytest.raises(Unauthorized):
                there.manifest()
            hub.tokens.seconds = 300
            assert there.manifest().raw


def test_client_certificates(tmp_path: Path) -> None:
    with registry(tmp_path / "hub", client_certificates=True) as hub:
        hub.put_image("team/app", "1", [LAYER])
        assert hub.certs is not None
        assert manifest(hub, "team/app:1", access(hub, cert_dir=str(hub.certs.client_dir))).layers
        with pytest.raises(RegistryError, match="certificate"):
            manifest(hub, "team/app:1", access(hub, retry=0))
        own = tmp_path / ".config/containers/certs.d" / hub.address
        own.parent.mkdir(parents=True)
        own.symlink_to(hub.certs.client_dir)
        assert manifest(hub, "team/app:1", Access()).layers, "certs.d of the user"


# writing
def test_push_and_pull_back(plain: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    first = plain.put_image("team/app", "1", [LAYER, BIG])
    with RegistrySource(reference.parse(plain.name("team/app:1")), access(plain), NONE) as source:
        with RegistrySink(reference.parse(plain.name("other/app:2")), access(plain), NONE) as sink:
            document = source.manifest()
            found = descriptor.read(document.raw, document.media_type)
            assert isinstance(found, Manifest)
            for part in (*found.layers, found.config):
                assert not sink.has(part)
                reader = source.blob(part)
                sink.put_blob(part, reader)
                reader.close()
                assert sink.has(part)
            sink.put_manifest(document, found.digest, True)
        assert source.tags(5) == ["1"]
    assert digest(plain.manifest("other/app", "2")) == first
    assert plain.blob_file(digest(BIG)).stat().st_size == len(BIG)


def test_many_threads(plain: Registry) -> None:
    datas = [bytes([n]) * (1_200_000 + n) for n in range(8)]
    with RegistrySink(reference.parse(plain.name("many/app:1")), access(plain), NONE) as sink, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda data: sink.put_blob(blob(data), io.BytesIO(data)), datas))
    with RegistrySource(reference.parse(plain.name("many/app:1")), access(plain), NONE) as source, ThreadPoolExecutor(4) as pool:

        def fetch(data: bytes) -> bytes:
            reader = source.blob(blob(data), 1000)
            return b"".join(iter(lambda: reader.read(1 << 20), b""))

        assert list(pool.map(fetch, datas)) == [data[1000:] for data in datas]


@pytest.mark.parametrize("creds", ["", "me:secret"])
def test_a_blob_of_another_repository_is_mounted(plain: Registry, tokens: Registry, creds: str) -> None:
    hub = tokens if creds else plain
    data = f"mounted {creds}".encode()
    hub.put_blob("from/here", data, "application/octet-stream")
    mounts = {digest(data): ("elsewhere.example/x", hub.name("not/there"), hub.name("from/here"))}
    with RegistrySink(reference.parse(hub.name("to/there:1")), access(hub, creds), NONE, mounts=mounts) as sink:
        assert sink.has(blob(data))
    with RegistrySource(reference.parse(hub.name("to/there:1")), access(hub, creds), NONE) as source:
        reader = source.blob(blob(data))
        assert reader.read(1000) == data
        reader.close()
    assert any("mount=" in line and '" 201 ' in line for line in hub.heard()), "by the registry itself"


class Rewinding(io.BytesIO):
    def rewind(self) -> None:
        self.seek(0)


def test_transfers_go_on_after_a_lost_connection(plain: Registry) -> None:
    """docker-registry refuses to go on with an upload, so the blob is sent again from its start."""
    how = access(plain, retry_delay=0.05)
    with cutting(plain.address, len(BIG) - (1 << 20)) as wire:
        name = reference.parse(f"{wire.address}/broken/app:1")
        with RegistrySink(name, how, NONE) as sink:
            sink.put_blob(blob(BIG), Rewinding(BIG))
        assert wire.cut == 1 and len([line for line in plain.heard() if '"PATCH /v2/broken/app/' in line]) == 2
        assert plain.blob_file(digest(BIG)).read_bytes() == BIG
        wire.arm()
        with RegistrySink(name, how, NONE) as sink, pytest.raises(RegistryError):
            sink.put_blob(blob(BIG), io.BytesIO(BIG))
        assert wire.cut == 2
        wire.arm()
        with RegistrySource(name, how, NONE) as source:
            reader = source.blob(blob(BIG))
            assert digest(b"".join(iter(lambda: reader.read(1 << 20), b""))) == digest(BIG)
        assert wire.cut == 3


def test_a_reader_that_fails_is_not_asked_again(plain: Registry) -> None:
    class Failing(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            if self.tell() > len(BIG) // 2:
                raise OSError(5, "the disk")
            return super().read(count)

    with RegistrySink(reference.parse(plain.name("failing/app:1")), access(plain), NONE) as sink:
        with pytest.raises(OSError, match="the disk"):
            sink.put_blob(Descriptor("", digest(b"failing"), len(BIG)), Failing(BIG))


def test_a_wrong_digest_is_not_taken(plain: Registry) -> None:
    with RegistrySink(reference.parse(plain.name("wrong/app:1")), access(plain), NONE) as sink:
        with pytest.raises(RegistryError, match="DIGEST_INVALID"):
            sink.put_blob(Descriptor("", digest(b"other"), 5), io.BytesIO(b"mine!"))


def test_others_read_what_we_wrote(plain: Registry) -> None:
    plain.put_image("team/app", "5", [LAYER])
    document = plain.manifest("team/app", "5")
    from kubeplay.engine.images.transports.base import Document

    with RegistrySink(reference.parse(plain.name("team/app:6")), access(plain), NONE) as sink:
        sink.put_manifest(Document(document), digest(document), True)
    seen = subprocess.run(
        [skopeo(), "inspect", "--tls-verify=false", f"docker://{plain.name('team/app:6')}"], capture_output=True, text=True, check=True
    )
    assert json.loads(seen.stdout)["Digest"] == digest(document)


# commands
class Commands:
    """kubeplay with a home directory of its own."""

    def __init__(self, directory: Path, hub: Registry) -> None:
        assert hub.certs is not None
        self.directory, self.hub, self.certs = directory, hub, ["--cert-dir", str(hub.certs.cert_dir)]

    def __call__(self, *argv: str, stdin: str = "", status: int = 0) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "kubeplay", *argv], env=self.env, input=stdin, capture_output=True, text=True, timeout=300, cwd="/"
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert said.status == status, said
        return said

    @property
    def env(self) -> dict[str, str]:
        own = {"KUBEPLAY_ROOT": str(self.directory / "root"), "KUBEPLAY_RUNROOT": str(self.directory / "r"), "PYTHONPATH": str(ROOT)}
        return {**os.environ, **own}

    @property
    def auth(self) -> Path:
        return self.directory / "run/containers/auth.json"


@pytest.fixture(params=["users", "tokens"])
def commands(request: pytest.FixtureRequest, tmp_path: Path) -> Commands:
    return Commands(tmp_path, request.getfixturevalue(request.param))


def test_login_and_logout(commands: Commands) -> None:
    address = commands.hub.address
    assert "not logged into" in commands("login", "--get-login", address, status=125).err
    said = commands("login", "-u", "me", "-p", "wrong", *commands.certs, address, status=125)
    assert "invalid username/password" in said.err and not commands.auth.exists()
    said = commands("login", "-u", "me", "--password-stdin", "-v", *commands.certs, address, stdin="secret\n")
    assert said.lines == [f"Used: {commands.auth}", "Login Succeeded!"]
    assert stat.S_IMODE(commands.auth.stat().st_mode) == 0o600
    assert commands("login", "--get-login", address).out == "me\n"
    assert "Already logged in" in commands("login", *commands.certs, address).out
    assert commands("search", "--list-tags", *commands.certs, f"{address}/team/app").lines[1].split() == [f"{address}/team/app", "1"]
    assert commands("logout", address).out == f"Removed login credentials for {address}\n"
    assert "not logged into" in commands("logout", address, status=125).err


def test_login_asks_on_a_terminal(users: Registry, tmp_path: Path) -> None:
    commands = Commands(tmp_path, users)
    near, far = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "kubeplay", "login", *commands.certs, users.address], env=commands.env, cwd="/", stdin=far, stdout=far,
            stderr=far, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(far)
        seen = b""
        for prompt, answer in ((b"Username: ", b"me\n"), (b"Password: ", b"secret\n"), (b"Login Succeeded!", b"")):
            while prompt not in seen:
                seen += os.read(near, 4096)
            os.write(near, answer)
        assert process.wait(300) == 0 and b"secret" not in seen
    finally:
        os.close(near)


def test_logins_for_namespaces(users: Registry, tmp_path: Path) -> None:
    commands = Commands(tmp_path, users)
    other = str(tmp_path / "other.json")
    commands("login", "-u", "you", "-p", "other", "--authfile", other, *commands.certs, f"{users.address}/team")
    assert list(json.loads(Path(other).read_text())["auths"]) == [f"{users.address}/team"]
    assert commands("search", "--list-tags", "--authfile", other, *commands.certs, f"{users.address}/team/app").out
    assert "credential file is not accessible" in commands("search", "--authfile", "/absent", "x/y", status=125).err
    assert commands("logout", "--all", "--authfile", other).out == "Removed login credentials for all registries\n"
    assert json.loads(Path(other).read_text()) == {"auths": {}}
    for wrong in ([f"{users.address}/team:1"], ["--password-stdin", users.address], ["UPPER/x"], []):
        commands("login", *wrong, status=125)


def test_podman_reads_our_login_and_we_podmans(users: Registry, tmp_path: Path) -> None:
    import shutil

    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("podman not found: apt-get install podman")
    commands = Commands(tmp_path, users)
    file = str(tmp_path / "auth.json")
    commands("login", "-u", "me", "-p", "secret", "--authfile", file, *commands.certs, users.address)
    seen = subprocess.run([podman, "login", "--get-login", "--authfile", file, users.address], capture_output=True, text=True)
    assert seen.stdout == "me\n", seen
    subprocess.run([podman, "logout", "--authfile", file, users.address], capture_output=True, check=True)
    assert "not logged" in commands("login", "--get-login", "--authfile", file, users.address, status=125).err


def test_search(users: Registry, tmp_path: Path) -> None:
    commands = Commands(tmp_path, users)
    users.put_image("team/tool", "1", [LAYER])
    look = ["search", *commands.certs, "--creds", "me:secret"]
    name = f"{users.address}/team"
    assert [line.split()[0] for line in commands(*look, f"{users.address}/").lines] == ["NAME", f"{name}/app", f"{name}/tool"]
    assert commands(*look, "--format", "{{.Name}}", f"{users.address}/tool").out == f"{name}/tool\n"
    assert len(commands(*look, "--limit", "1", f"{users.address}/team").lines) == 2
    assert commands(*look, "--filter", "is-official", "--format", "json", f"{users.address}/team").json == []
    assert commands(*look, "--list-tags", "--format", "json", f"{name}/app").json == [{"Name": f"{name}/app", "Tags": ["1"]}]
    (tmp_path / "registries.conf").write_text(f'unqualified-search-registries = ["{users.address}", "localhost:1"]')
    said = commands(*look, "tool", status=125)
    assert f"{name}/tool" in said.out and "localhost:1" in said.err, "one registry that fails does not hide the others"
