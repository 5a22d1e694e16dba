"""registries.conf end to end: what `pull`, `push`, `build` and `play` make of it, with two real registries."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import PATH_ENV, busybox_members, layer
from tests.support.kubeplay import Machine
from tests.support.registry import Registry, registry

pytestmark = pytest.mark.root
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: "%s", command: [sleep, "1000"]}
"""


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Registry]]:
    """A registry without TLS that has team/app, and one with TLS that has other/app; both anonymous."""
    with registry(tmp_path_factory.mktemp("plain")) as plain, registry(tmp_path_factory.mktemp("safe"), tls=True) as safe:
        base = layer(busybox_members())
        plain.put_image("team/app", "1", [base], stored=[gzip.compress(base, 1)], media=GZIP, value={"Env": PATH_ENV})
        plain.put_image("library/short", "latest", [base], value={"Env": PATH_ENV})
        safe.put_image("other/app", "1", [layer(busybox_members()[:3])])
        yield plain, safe


@pytest.fixture
def kp(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "kp")
    made.directory.mkdir()
    made.env["HOME"] = str(tmp_path)  # no settings of this machine
    yield made
    made("system", "reset", "--force")


def configure(kp: Machine, text: str) -> None:
    kp.env["CONTAINERS_REGISTRIES_CONF"] = kp.file("registries.conf", text)


def names(kp: Machine) -> list[str]:
    return sorted(kp("images", "--format", "{{.Repository}}:{{.Tag}}").lines)


def test_insecure(kp: Machine, hubs: tuple[Registry, Registry]) -> None:
    plain, _ = hubs
    name = plain.name("team/app", "1")
    assert "insecure" in kp("pull", "-q", "--retry", "0", name, status=125).err, "the hint says what to do"
    configure(kp, f'[[registry]]\nlocation = "{plain.address}"\ninsecure = true\n')
    kp("pull", "-q", name)
    kp("push", "-q", name, plain.name("team/pushed", "1"))
    assert plain.manifest("team/pushed", "1") == plain.manifest("team/app", "1")
    assert "insecure" in kp("pull", "-q", "--retry", "0", "--tls-verify", name, status=125).err, "the flag wins over the file"
    kp("rmi", name)
    kp.play(POD % name)
    kp.down(POD % name)
    (kp.directory / "c").mkdir()
    (kp.directory / "c/Containerfile").write_text(f"FROM {name}\nLABEL a=b\n")
    kp("rmi", name)
    kp("build", "-q", "-t", "built:1", str(kp.directory / "c"))


def test_a_mirror_stands_in_and_the_name_stays(kp: Machine, hubs: tuple[Registry, Registry]) -> None:
    plain, safe = hubs
    configure(kp, f'[[registry]]\nprefix = "example.test/app"\nlocation = "{safe.address}/none"\n'
                  f'[[registry.mirror]]\nlocation = "localhost:1/away"\n'
                  f'[[registry.mirror]]\nlocation = "{plain.address}/team"\ninsecure = true\n')  # fmt: skip
    before = len(plain.heard())
    kp.play(POD % "example.test/app/app:1")
    assert names(kp) == ["example.test/app/app:1"]
    assert any("GET /v2/team/app/manifests/1" in line for line in plain.heard()[before:])
    assert kp.status("p")["image"] == "example.test/app/app:1"
    kp.down(POD % "example.test/app/app:1")


def test_another_location_is_asked_after_its_mirrors(kp: Machine, hubs: tuple[Registry, Registry]) -> None:
    plain, safe = hubs
    assert safe.certs is not None
    configure(kp, f'[[registry]]\nprefix = "example.test"\nlocation = "{plain.address}"\ninsecure = true\n'
                  f'[[registry.mirror]]\nlocation = "{safe.address}"\n')  # fmt: skip
    kp("pull", "-q", "--cert-dir", str(safe.certs.cert_dir), "example.test/team/app:1")  # the mirror has no such image
    kp("pull", "-q", "--cert-dir", str(safe.certs.cert_dir), "example.test/other/app:1")
    assert names(kp) == ["example.test/other/app:1", "example.test/team/app:1"]


def test_blocked(kp: Machine, hubs: tuple[Registry, Registry]) -> None:
    plain, _ = hubs
    configure(kp, f'[[registry]]\nlocation = "{plain.address}/team"\nblocked = true\n'
                  f'[[registry]]\nlocation = "{plain.address}"\ninsecure = true\n')  # fmt: skip
    name = plain.name("team/app", "1")
    before = len(plain.heard())
    assert f"{plain.address}/team is blocked in {kp.directory}/registries.conf" in kp("pull", "-q", name, status=125).err
    assert "is blocked" in kp.play(POD % name, status=125).err
    kp("pull", "-q", plain.name("library/short"))
    assert "is blocked" in kp("push", "-q", plain.name("library/short"), plain.name("team/x", "1"), status=125).err
    assert not any("/v2/team" in line for line in plain.heard()[before:])


def test_short_names(kp: Machine, hubs: tuple[Registry, Registry]) -> None:
    plain, safe = hubs
    insecure = f'[[registry]]\nlocation = "{plain.address}"\ninsecure = true\n'
    configure(kp, f'unqualified-search-registries = ["localhost:1", "{plain.address}/library"]\n{insecure}'
                  f'[aliases]\ntool = "{plain.address}/team/app"\n')  # fmt: skip
    kp("pull", "-q", "--retry", "0", "short")
    kp("pull", "-q", "tool:1")
    assert names(kp) == [plain.name("library/short", "latest"), plain.name("team/app", "1")]
    for name in ("short", "tool:1"):
        kp("image", "exists", name)
        kp.play(POD % name)
        kp.down(POD % name)
        assert kp("rmi", name).out, "one image, two names: a name goes alone"
    assert names(kp) == []
    kp.play(POD % "tool:1")
    kp.down(POD % "tool:1")
    configure(kp, f'unqualified-search-registries = ["localhost:1", "{plain.address}"]\nshort-name-mode = "enforcing"\n{insecure}')
    assert "may be any of" in kp("pull", "-q", "short", status=125).err


def test_a_file_that_is_broken_is_named(kp: Machine, hubs: tuple[Registry, Registry]) -> None:
    configure(kp, "unqualified-search-registries = 1\n")
    for command in (["pull", "-q", "short"], ["play", "kube", kp.written(POD % "short")]):
        assert f"{kp.directory}/registries.conf" in kp(*command, status=125).err


HELPER = """#!/bin/sh
[ "$1" = get ] || exit 1
read -r server
echo "$server" >>"$0.log"
echo '{"ServerURL": "x", "Username": "me", "Secret": "secret"}'
"""


def test_credential_helpers(kp: Machine, tmp_path: Path) -> None:
    """Out of auth.json, docker's config.json and registries.conf; the password is in no file of ours."""
    (tmp_path / "bin").mkdir()
    helper = tmp_path / "bin/docker-credential-box"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    kp.env["PATH"] = f"{tmp_path}/bin:{kp.env['PATH']}"
    kp.env.pop("XDG_RUNTIME_DIR", None)
    kp.env.pop("REGISTRY_AUTH_FILE", None)
    with registry(tmp_path / "hub", users={"me": "secret"}) as hub:
        hub.put_image("team/app", "1", [layer(busybox_members())], value={"Env": PATH_ENV})
        insecure = f'[[registry]]\nlocation = "{hub.address}"\ninsecure = true\n'
        configure(kp, insecure)
        name = hub.name("team/app", "1")
        assert "401" in kp("pull", "-q", name, status=125).err
        for path, text in ((".config/containers/auth.json", f'{{"credHelpers": {{"{hub.address}": "box"}}}}'),
                           (".docker/config.json", '{"credsStore": "box"}')):  # fmt: skip
            file = tmp_path / path
            file.parent.mkdir(parents=True)
            file.write_text(text)
            kp("pull", "-q", name)
            kp("push", "-q", name, hub.name("team/pushed", "1"))
            file.unlink()
            kp("rmi", name)
        configure(kp, f'credential-helpers = ["box"]\n{insecure}')
        kp.play(POD % name)
        kp.down(POD % name)
        assert set(Path(f"{helper}.log").read_text().splitlines()) == {hub.address}
