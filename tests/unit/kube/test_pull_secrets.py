"""imagePullSecrets: what a Secret holds, and which credential fits which image, as pkg/credentialprovider has it."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from kubeplay.errors import InvalidInput
from kubeplay.kube.pull_secrets import CFG_KEY, CFG_TYPE, JSON_KEY, JSON_TYPE, Credential, credentials, fits, matching


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def secret(value: Any, kind: str = JSON_TYPE, plain: bool = False) -> dict[str, Any]:
    key = JSON_KEY if kind == JSON_TYPE else CFG_KEY
    text = value if isinstance(value, str) else json.dumps(value)
    return {"type": kind, "metadata": {"name": "s"}, "stringData" if plain else "data": {key: text if plain else b64(text)}}


@pytest.mark.parametrize("plain", [False, True])
def test_both_types_in_data_and_string_data(plain: bool) -> None:
    entry = {"username": "me", "password": "pw"}
    expected = (Credential("quay.io", "me", "pw"),)
    assert credentials(secret({"auths": {"quay.io": entry}}, plain=plain)) == expected
    assert credentials(secret({"quay.io": entry}, CFG_TYPE, plain)) == expected


def test_auth_wins_over_username_and_password() -> None:
    (found,) = credentials(secret({"auths": {"r": {"username": "a", "password": "b", "auth": b64("me:p:w").rstrip("=")}}}))
    assert (found.username, found.password) == ("me", "p:w")


def test_other_secrets_hold_none() -> None:
    assert credentials({"type": "Opaque", "data": {JSON_KEY: b64('{"auths": {"r": {"username": "u"}}}')}}) == ()
    assert credentials(secret({"auths": {"r": {}}})) == () == credentials(secret({})) == credentials({"type": JSON_TYPE})


@pytest.mark.parametrize(
    "value",
    ["[]", "{", '{"auths": [1]}', '{"auths": {"r": 1}}', '{"auths": {"r": {"auth": "%%"}}}',
     '{"auths": {"r": {"auth": "' + b64("nocolon") + '"}}}',
     '{"auths": {"r": {"username": 3}}}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_docker_configuration_is_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="Secret s"):
        credentials(secret(value))


def test_a_secret_that_is_no_base64() -> None:
    with pytest.raises(InvalidInput):
        credentials({"type": JSON_TYPE, "data": {JSON_KEY: b64("\udcff".encode("utf-8", "surrogatepass").hex()) + "x"}})


@pytest.mark.parametrize(
    ("registry", "key"),
    [
        ("https://index.docker.io/v1/", "index.docker.io"), ("http://r:5000", "r:5000"), ("r.io/team", "r.io/team"),
        ("https://r.io/v2/team", "r.io/team"), ("r.io/v2", "r.io"), ("r.io/", "r.io"),
    ],
)  # fmt: skip
def test_keys_are_hosts_and_paths(registry: str, key: str) -> None:
    assert credentials(secret({"auths": {registry: {"username": "u", "password": "p"}}}))[0].key == key


@pytest.mark.parametrize(
    ("key", "repository", "expected"),
    [
        ("r.io", "r.io/a/b", True), ("r.io/a", "r.io/a/b", True), ("r.io/a/b/c", "r.io/a/b", False), ("r.io", "x.r.io/a", False),
        ("*.r.io", "x.r.io/a", True), ("*.r.io", "x.y.r.io/a", False), ("*.*.r.io", "x.y.r.io/a", True), ("reg*.io", "regis.io/a", True),
        ("r.io:5000", "r.io:5000/a", True), ("r.io", "r.io:5000/a", False), ("r.io:5000", "r.io/a", False), ("*", "localhost/a", True),
        ("*", "r.io/a", False), ("R.io", "r.io/a", False),
    ],
)  # fmt: skip
def test_what_a_key_fits(key: str, repository: str, expected: bool) -> None:
    assert fits(key, repository) is expected


def users(found: tuple[Credential, ...]) -> list[str]:
    return [one.username for one in found]


def test_the_longest_path_comes_first_and_all_that_fit_are_tried() -> None:
    known = [Credential("r.io", "host", ""), Credential("r.io/a/b", "repository", ""), Credential("r.io/a", "team", ""),
             Credential("r.io/a", "team2", ""), Credential("other.io", "other", "")]  # fmt: skip
    assert users(matching(known, "r.io/a/b")) == ["repository", "team", "team2", "host"]
    assert users(matching(known, "r.io/c")) == ["host"]
    assert matching(known, "none.io/a") == ()


def test_docker_io_goes_by_its_old_name_too() -> None:
    assert users(matching([Credential("index.docker.io", "hub", "")], "docker.io/library/busybox")) == ["hub"]
    assert users(matching([Credential("index.docker.io", "hub", "")], "quay.io/library/busybox")) == []
