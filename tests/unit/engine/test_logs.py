"""CRI log files: parsing, tails, time limits, rotations, hostile files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from kubeplay.engine import logs
from kubeplay.engine.store.runtime import ContainerRow


def row(path: Path) -> ContainerRow:
    return ContainerRow("i", "u", "s", "c", "app", 0, "exited", "b", 0, 0, "", "", 0.0, log_path=str(path))


def line(second: int, text: str, stream: str = "stdout", tag: str = "F") -> str:
    return f"2026-11-22T03:00:{second:02d}.5+00:00 {stream} {tag} {text}\n"


def read(path: Path, **more: Any) -> str:
    found: list[bytes] = []
    logs.read(cast(Any, None), [row(path)], sink=lambda e, name, begins: found.append(e.text + (b"\n" if e.full else b"")), **more)
    return b"".join(found).decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "0.log.20260101").write_text(line(0, "zero") + line(1, "one"))
    (tmp_path / "0.log.20260102").write_text(line(2, "tw", tag="P") + line(2, "o"))
    (tmp_path / "0.log").write_text(line(3, "three", "stderr") + line(4, "four"))
    return tmp_path / "0.log"


def test_cs12_across_rotations_with_partial_lines_joined(log: Path) -> None:
    assert read(log) == "zero\none\ntwo\nthree\nfour\n"


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (0, ""),
        (1, "four\n"),
        (2, "three\nfour\n"),
        (3, "two\nthree\nfour\n"),
        (4, "one\ntwo\nthree\nfour\n"),
        (99, "zero\none\ntwo\nthree\nfour\n"),
    ],
)
def test_tail(log: Path, tail: int, expected: str) -> None:
    assert read(log, tail=tail) == expected


@pytest.mark.parametrize("number", [1, 10, 1000, 5000])
def test_tail_of_a_large_file(tmp_path: Path, number: int) -> None:
    (tmp_path / "x").write_text("".join(line(n % 60, f"line {n} " + "x" * 60) for n in range(5000)))
    found = read(tmp_path / "x", tail=number).splitlines()
    assert len(found) == number and found[0].startswith(f"line {5000 - number} ") and found[-1].startswith("line 4999 ")


def test_since_and_until(log: Path) -> None:
    base = logs.seconds(b"2026-11-22T03:00:00Z")
    assert read(log, since=base + 2, until=base + 4) == "two\nthree\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1970-01-01T00:00:01Z", 1.0),
        (b"1970-01-01T00:00:01.25+00:00", 1.25),
        (b"1970-01-01T02:00:00.5+02:00", 0.5),
        (b"1969-12-31T23:30:00-00:30", 0.0),
        (b"nonsense", 0.0),
        (b"", 0.0),
    ],
)
def test_times(text: bytes, expected: float) -> None:
    assert logs.seconds(text) == expected


def test_a_file_with_two_names_is_read_once(log: Path) -> None:
    once = read(log)
    older = next(path for path in log.parent.iterdir() if path != log)
    os.link(older, f"{log}.20990101-000000-000000000")
    assert read(log) == once
    os.rename(log, f"{log}.21000101-000000-000000000")
    os.link(f"{log}.21000101-000000-000000000", f"{log}.21000101-000000-000000001")
    log.symlink_to("/dev/null")
    assert read(log) == once


def test_ghsa_rgh6_rfwx_v388_only_ordinary_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(line(0, "secret"))
    (tmp_path / "0.log").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "1.log")
    assert read(tmp_path / "0.log") == "" and read(tmp_path / "1.log") == "" and read(tmp_path / "none") == ""


def test_foreign_and_endless_lines_are_no_harm(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(
        b"\xff\xfe garbage\n\n" + b"z" * 2_000_000 + b"\n" + line(1, "good").encode() + line(2, "cut off").encode()[:-1]
    )
    assert read(tmp_path / "x") == "good\n"


def test_tm2_last_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("".join(line(n % 60, f"{n}") for n in range(500)))
    assert logs.last_text(str(tmp_path / "x"), 80, 2048).splitlines() == [str(n) for n in range(420, 500)]
    assert len(logs.last_text(str(tmp_path / "x"), 80, 30)) == 30


def test_streams_names_and_times_on_our_output(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logs.read(cast(Any, None), [row(log)], tail=2, timestamps=True, names=True)
    out, err = capfd.readouterr()
    assert out == "c 2026-11-22T03:00:04.5+00:00 four\n" and err == "c 2026-11-22T03:00:03.5+00:00 three\n"
