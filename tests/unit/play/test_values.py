"""The data of `configmap create` and `secret create`: keys, files, directories, environment files, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubeplay.errors import InvalidInput, NotFound
from kubeplay.play import values


def test_values_of_every_source(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_bytes(b"1\xff")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("A")
    (tmp_path / "d/not a key").write_text("no")
    (tmp_path / "d/below").mkdir()
    (tmp_path / "env").write_text("\ufeff# none\n\n  X=1=2\nHERE\nGONE\n")
    files = [f"{tmp_path}/one.txt", f"k={tmp_path}/one.txt", f"{tmp_path}/d"]
    assert values.data_of(["l=a=b", "e="], files, [f"{tmp_path}/env"], {"HERE": "there"}) == {
        "l": b"a=b", "e": b"", "one.txt": b"1\xff", "k": b"1\xff", "a": b"A", "X": b"1=2", "HERE": b"there",
    }  # fmt: skip


@pytest.mark.parametrize(("literals", "files", "said"), [
    (["x"], [], "KEY=VALUE"), (["=x"], [], "KEY=VALUE"), (["a/b=1"], [], "not a key"), (["a=1", "a=2"], [], "twice"),
    ([], ["k="], "KEY=FILE"), ([], ["x=/dev/zero"], "larger"), ([f"k={'x' * values.MOST}", "l=y"], [], "larger"),
])  # fmt: skip
def test_values_that_are_refused(literals: list[str], files: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        values.data_of(literals, files, [], {})


def test_a_file_that_is_not_there_and_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        values.read(str(tmp_path / "none"))
    read, write = os.pipe()
    os.write(write, b"piped")
    os.close(write)
    assert values.read(f"/dev/fd/{read}") == b"piped"
    os.close(read)


def test_what_is_no_text_is_binary_data() -> None:
    made = values.config_map({"name": "c"}, {"t": b"text", "b": b"\xff"}, immutable=True)
    assert (made["data"], made["binaryData"], made["immutable"]) == ({"t": "text"}, {"b": "/w=="}, True)
    assert values.secret({"name": "s"}, {"k": b"v"}, False, "")["type"] == "Opaque"
