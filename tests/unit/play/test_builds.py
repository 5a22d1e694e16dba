"""Where `play kube --build` finds what an image is built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeplay.errors import Ambiguous, NotFound
from kubeplay.play import builds


def made(base: Path, *files: str) -> Path:
    for name in files:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("FROM scratch\n")
    return base


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("web", ("web",)), ("web:1", ("web",)), ("localhost/web:1", ("web",)), ("quay.io/team/web:1", ("team/web", "web")),
        ("team/web", ("team/web", "web")), ("reg:5000/a/b/c@sha256:" + "a" * 64, ("a/b/c", "b/c", "c")), ("../etc", ()), ("Bad Name", ()),
    ],
)  # fmt: skip
def test_the_directory_is_called_like_the_image(image: str, names: tuple[str, ...]) -> None:
    assert builds.candidates(image) == names


def test_the_longest_name_wins_and_a_subdirectory_comes_last(tmp_path: Path) -> None:
    made(tmp_path, "web/Dockerfile", "team/web/Containerfile", "sub/deep/other/Containerfile", "a/b/c/d/far/Containerfile", "empty/x")
    assert builds.find(str(tmp_path), "quay.io/team/web:1", True) == str(tmp_path / "team/web")
    assert builds.find(str(tmp_path), "quay.io/another/web:1", True) == str(tmp_path / "web")
    assert builds.find(str(tmp_path), "other", False) is None
    assert builds.find(str(tmp_path), "other", True) == str(tmp_path / "sub/deep/other")
    for image in ("far", "empty", "none", "../web", ".hidden"):
        assert builds.find(str(tmp_path), image, True) is None


def test_two_subdirectories_of_one_depth_are_ambiguous(tmp_path: Path) -> None:
    made(tmp_path, "a/web/Containerfile", "b/web/Containerfile")
    with pytest.raises(Ambiguous, match="a/web, .*b/web"):
        builds.find(str(tmp_path), "web", True)


def test_links_lead_nowhere(tmp_path: Path) -> None:
    elsewhere = made(tmp_path / "elsewhere", "web/Containerfile")
    base = made(tmp_path / "base", "file/x")
    (base / "web").symlink_to(elsewhere / "web")
    (base / "sub").symlink_to(elsewhere)
    (base / "file/Containerfile").symlink_to("/etc/passwd")
    assert builds.find(str(base), "web", True) is None and builds.find(str(base), "file", True) is None


def test_where_directories_are_looked_for(tmp_path: Path) -> None:
    here, other = str(tmp_path), tmp_path / "kube"
    other.mkdir()
    assert builds.bases([f"{other}/a.yaml", f"{other}/b.yaml"], "", here) == (str(other), here)
    assert builds.bases([str(other)], "", here) == (str(other), here)
    assert builds.bases(["-"], "", here) == builds.bases(["https://example.test/a.yaml"], "", here) == (here,)
    assert builds.bases([f"{other}/a.yaml"], str(tmp_path), here) == (here,)
    with pytest.raises(NotFound):
        builds.bases([], str(tmp_path / "none"), here)
