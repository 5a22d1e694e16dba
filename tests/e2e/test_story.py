"""docs/story.md, typed as it stands: from compose to a cluster, with real containers, a registry, git, and the API server's double."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import story
from tests.support.apiserver import api_server
from tests.support.cli import Kubeplay, installed
from tests.support.registry import Registry, registry

pytestmark = [pytest.mark.root, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
CACHE = "kubeplay get pods -l app=cache -o name"


@pytest.fixture
def kp(tmp_path: Path) -> Iterator[Kubeplay]:
    yield from installed(tmp_path)


def test_the_story(kp: Kubeplay, tmp_path: Path) -> None:
    kp.image("localhost/busybox:1")
    desk = tmp_path / "shop"
    shutil.copytree(ROOT / "examples/story", desk)
    me = {"NAME": "me", "EMAIL": "me@shop.example"}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in me.items()}
    programs = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    with api_server(tmp_path / "api", tokens={"secret": "me"}) as server, registry(tmp_path / "registry") as hub:
        config = server.kubeconfig({"token": "secret"})
        env = {**kp.env, **who, "PATH": programs, "KUBECONFIG": str(config), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            env.pop(name, None)
        with story.Shell(desk, env) as shell:
            for line in story.lines(ROOT / "docs/story.md"):
                shown = tuple([text.replace("registry.example", hub.address) for text in line.shown])
                shell.type(line._replace(shown=shown), line.command.replace("registry.example", hub.address))
        assert len({said.out for said in shell.said[CACHE]}) == 1 and len(shell.said[CACHE]) == 3  # nobody touched the cache
        _by_name(kp, str(config), hub, desk)
        applied = server.get("Deployment", "default", "web")["spec"]
        assert applied["replicas"] == 3
        assert applied["template"]["spec"]["containers"][0]["image"] == f"{hub.address}/team/shop-web:2"
        assert any("/v2/team/shop-web/manifests/2" in line for line in hub.heard())
        text = (desk / "cluster.yaml").read_text()
        assert "push-images" not in text and text.count(hub.address) == 2


def _by_name(kp: Kubeplay, config: str, hub: Registry, desk: Path) -> None:
    """What the story does not tell: by name instead of by file, and names with digests."""
    said = kp("kube", "apply", "deployment/web", "--dry-run=server", "--kubeconfig", config, "--force-conflicts")
    assert said.out == "deployment.apps/web serverside-applied (server dry run)\n" and "no registry has this image" in said.err
    to = ["--to", f"{hub.address}/team", "--tls-verify=false"]
    text = kp("kube", "push-images", *to, "--digests", "-q", str(desk / "shop.yaml")).out
    digest = "sha256:" + hashlib.sha256(hub.manifest("team/shop-web", "2")).hexdigest()
    assert f"image: {hub.address}/team/shop-web:2@{digest}\n" in text
    before = len(hub.heard())
    said = kp("kube", "push-images", "--to", f"{hub.address}/other", "--dry-run", "-", stdin=text)
    assert said.out == text and "is not here: it is left as it is" in said.err
    assert not [line for line in hub.heard()[before:] if "/other/" in line]


@pytest.mark.parametrize(
    ("shown", "out", "err", "fits"),
    [
        ((), "", "anything", True),
        ((), "a\n", "", False),
        (("a", "b"), "a\nb\n", "", True),
        (("a",), "a\nb\n", "", False),
        (("a", "..."), "a\nb\nc\n", "", True),
        (("...", "c"), "a\nb\nc\n", "", True),
        (("...", "c"), "a\n", "", False),
        (("x …z",), "x yz\n", "", True),
        (("Error: …", "out"), "out\n", "note\nError: no\n", True),
        (("one  two",), "one    two\n", "", True),
    ],
)
def test_what_a_page_shows(shown: tuple[str, ...], out: str, err: str, fits: bool) -> None:
    assert story.matches(shown, out, err) == fits
