"""What registries write and people configure, read without a network: challenges, links, proxies, keys of auth files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from kubeplay.engine.images.registry import challenge, conf, credentials, proxies, urls
from kubeplay.engine.images.registry.access import Access
from kubeplay.engine.images.registry.challenge import Challenge
from kubeplay.errors import InvalidInput, NotSupported, RegistryError


def test_challenges() -> None:
    text = 'Bearer realm="https://auth.example/token?x=1",service="reg, istry",scope="repository:a/b:pull,push", Basic realm="say \\"it\\""'
    bearer, basic = challenge.parse([text])
    assert bearer == Challenge(
        "bearer", (("realm", "https://auth.example/token?x=1"), ("service", "reg, istry"), ("scope", "repository:a/b:pull,push"))
    )
    assert basic.get("realm") == 'say "it"'
    assert challenge.choose([basic, bearer]) == bearer and challenge.choose([basic]) == basic
    assert challenge.choose(challenge.parse(["Negotiate", "Basic"])) == Challenge("basic")
    assert challenge.choose(challenge.parse(["Negotiate abc=="])) is None
    assert challenge.parse(["BEARER Realm=x"])[0].get("realm") == "x"


@pytest.mark.parametrize("text", ["", ",,,", '"', "Bearer realm=", 'Bearer realm="no end', "\x00", "a=b", "Bearer " + "x=y," * 100_000,
                                  " " * 16384 + "\x00", "Bearer a=b," + " , " * 5000 + "\x00"])  # fmt: skip
def test_broken_challenges_end(text: str) -> None:
    for one in challenge.parse([text]):
        assert len(one.parameters) <= 32


@given(st.text(alphabet='abc "\\\\=,:/ \t\n\x00é', max_size=60))
def test_any_challenge_can_be_read(text: str) -> None:
    for one in challenge.parse([text, f"Bearer {text}", f'Bearer realm="{text}']):
        assert one.scheme == one.scheme.lower()


@given(st.text(alphabet="ahtps:/@.?#%[]\\\\ \n\x00é0", max_size=40))
def test_any_link_is_followed_or_refused(text: str) -> None:
    for location in (text, f"https://{text}", f"http://{text}", f"//{text}"):
        try:
            found = urls.follow("https://r.example:5000/v2/", location, False)
        except RegistryError:
            continue
        try:
            parts = parse_url(found)
        except LocationParseError:
            continue  # urllib3 says so when it is asked
        assert parts.scheme == "https" and found.isascii() and not parts.auth
        assert urls.origin(found)[1:] == ((parts.host or "").strip("[]"), parts.port or 443), "urllib3 goes where we think"


def test_addresses_of_version_6() -> None:
    assert urls.origin("https://[::1]:5000/v2/") == ("https", "::1", 5000)
    assert urls.host("https://[FD00::1]/") == urls.host("https://[fd00::1]:443/x")


def test_links_are_followed_within_https() -> None:
    base = "https://r.example/v2/x?y=1"
    assert urls.follow(base, "/v2/z", False) == "https://r.example/v2/z"
    assert urls.follow(base, "https://cdn.example/b?sig=1#f", False) == "https://cdn.example/b?sig=1"
    assert urls.follow(base, "https://user:secret@cdn.example/b", False) == "https://cdn.example/b"
    assert urls.follow(base, "http://r.example/v2/up", False) == "https://r.example/v2/up", "a proxy that ends TLS before it"
    assert urls.follow(base, "http://other.example/", True) == "http://other.example/"
    insecure = ("http://other.example/", "http://r.example:80/")
    for bad in (*insecure, "file:///etc/passwd", "https://r.example\\\\.evil.example/", "ftp://x/", "https://h:99999/", "https://h/a\nb c", "https://[x/"):
        with pytest.raises(RegistryError):
            urls.follow(base, bad, False)


def test_origins() -> None:
    assert urls.origin("https://R.example/x") == urls.origin("https://r.example:443/y")
    assert urls.origin("http://r.example/") != urls.origin("https://r.example/")


@pytest.mark.parametrize(
    ("url", "no", "used"),
    [
        ("https://quay.io/v2/", "", True),
        ("http://quay.io/v2/", "", False),
        ("https://quay.io/", "quay.io", False),
        ("https://cdn.quay.io/", "quay.io", False),
        ("https://notquay.io/", "quay.io", True),
        ("https://quay.io/", ".quay.io", True),
        ("https://a.quay.io/", " .quay.io , x", False),
        ("https://quay.io:5000/", "quay.io:5000", False),
        ("https://quay.io:5001/", "quay.io:5000", True),
        ("https://10.1.2.3/", "10.0.0.0/8", False),
        ("https://11.1.2.3/", "10.0.0.0/8", True),
        ("https://[fd00::1]:5000/", "fd00::/8", False),
        ("https://quay.io/", "*", False),
        ("https://127.0.0.1:5000/", "", False),
        ("https://localhost:5000/", "", False),
        ("https://[::1]/", "", False),
    ],
)
def test_proxy(url: str, no: str, used: bool) -> None:
    assert bool(proxies.proxy(url, {"HTTPS_PROXY": "proxy.example:3128", "NO_PROXY": no})) is used


def test_proxies_that_cannot_be_used() -> None:
    assert proxies.proxy("https://q.io/", {"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}) == "http://a:1"
    with pytest.raises(NotSupported, match="socks5"):
        proxies.proxy("https://q.io/", {"HTTPS_PROXY": "socks5://a:1"})
    with pytest.raises(InvalidInput):
        proxies.proxy("https://q.io/", {"HTTPS_PROXY": "http://"})


@pytest.mark.parametrize(
    ("key", "domain", "path", "fits"),
    [
        ("quay.io", "quay.io", "a/b", True),
        ("https://quay.io/v1/", "quay.io", "a/b", True),
        ("https://index.docker.io/v1/", "docker.io", "library/nginx", True),
        ("quay.io/a", "quay.io", "a/b", True),
        ("quay.io/a", "quay.io", "ab/c", False),
        ("quay.io/a/b", "quay.io", "a/b", True),
        ("*.example.com", "r.example.com", "x", True),
        ("*.example.com", "a.r.example.com", "x", False),
        ("*.example.com", "example.com", "x", False),
        ("r.example.com:5000", "r.example.com:5000", "x", True),
        ("r.example.com", "r.example.com:5000", "x", False),
        ("r?.example.com", "r1.example.com", "x", True),
    ],
)
def test_keys_of_pull_secrets(key: str, domain: str, path: str, fits: bool) -> None:
    assert credentials.matches(key, domain, path) is fits


def test_order_of_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", "/dev/null")
    auths = (("quay.io", "first", "1"), ("quay.io/team", "longer", "2"), ("quay.io", "second", "3"), ("other.io", "no", "4"))
    assert [one.username for one in credentials.find(Access(auths=auths), "quay.io", "team/app")] == ["longer", "first", "second"]
    assert credentials.find(Access(auths=auths, creds="me:a:b"), "quay.io", "x") == (credentials.Credential("me", "a:b"),)
    assert credentials.find(Access(), "quay.io", "x") == ()


def test_a_broken_auth_file_does_not_hinder_a_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("{")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    assert credentials.find(Access(auths=(("quay.io", "pod", "1"),)), "quay.io", "x")[0].username == "pod"
    with pytest.raises(InvalidInput, match="no auth file"):
        credentials.find(Access(), "quay.io", "x")


def test_credential_helpers_of_registries_conf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = """#!/bin/sh
read -r server
echo "{\\"Username\\": \\"ring\\", \\"Secret\\": \\"$server\\"}"
"""
    (tmp_path / "docker-credential-ring").write_text(program)
    (tmp_path / "docker-credential-ring").chmod(0o755)
    (tmp_path / "auth.json").write_text('{"auths": {"quay.io": {"auth": "ZmlsZTox"}}}')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))

    def user(domain: str, *helpers: str) -> str:
        return credentials.find(Access(), domain, "x", helpers)[0].username

    assert user("quay.io", "ring", conf.FILES) == "ring" and user("quay.io", conf.FILES, "ring") == "file"
    assert user("other.io", conf.FILES, "ring") == "ring"
    (tmp_path / "r.conf").write_text('credential-helpers = ["containers-auth.json", "ring"]')
    assert conf.load([str(tmp_path / "r.conf")]).helpers == (conf.FILES, "ring")
