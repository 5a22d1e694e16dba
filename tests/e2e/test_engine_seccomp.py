"""The default filter against callers that go round it: 32-bit calls, x32 calls, high bits (CVE-2026-123876).

The callers are ELF files of a few instructions, so that no compiler is needed; they exit with minus the result of the call, or 0.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from kubeplay.engine import copy
from kubeplay.engine import exec as execs
from kubeplay.engine.store.runtime import ContainerRow
from tests.support.engines import Bench, bench_fixture, shell  # noqa: F401

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code for x86_64")]

AF_INET, AF_VSOCK, SOCK_STREAM = 2, 40, 1
SOCKET, UNSHARE, CLONE3, X32 = 41, 272, 435, 0x40000000
# if rax < 0: edi = -eax, else edi = 0; then exit(edi)
_EXIT = bytes.fromhex("31ff 4885c0 7904 89c7 f7df b83c000000 0f05".replace(" ", ""))


def elf(code: bytes) -> bytes:
    base = 0x400000
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 7, 0, base, base, 120 + len(code), 120 + len(code), 0x1000)
    return header + program + code


def call64(number: int, *arguments: int) -> bytes:
    code = b"\x48\xb8" + struct.pack("<Q", number)
    for prefix, value in zip((b"\x48\xbf", b"\x48\xbe", b"\x48\xba"), arguments):
        code += prefix + struct.pack("<Q", value)
    return elf(code + b"\x0f\x05" + _EXIT)


def call32(number: int, *arguments: int) -> bytes:
    """int 0x80: the i386 table, whatever the program is."""
    code = b"\xb8" + struct.pack("<I", number)
    for prefix, value in zip((b"\xbb", b"\xb9", b"\xba"), arguments):
        code += prefix + struct.pack("<I", value)
    return elf(code + b"\xcd\x80" + b"\x48\x98" + _EXIT)  # cdqe: the result has 32 bits


CASES = [
    ("inet is fine", call64(SOCKET, AF_INET, SOCK_STREAM, 0), 0),
    ("vsock", call64(SOCKET, AF_VSOCK, SOCK_STREAM, 0), errno.EPERM),
    ("vsock with a high bit", call64(SOCKET, AF_VSOCK | 1 << 32, SOCK_STREAM, 0), errno.EPERM),
    ("unshare", call64(UNSHARE, 0x10000000), errno.EPERM),
    ("clone with a user namespace", call64(56, 0x10000000 | 17, 0), errno.EPERM),
    ("clone3 makes libc fall back", call64(CLONE3, 0, 0), errno.ENOSYS),
    ("keyctl", call64(250, 0, 0), errno.EPERM),
    ("io_uring_setup", call64(425, 1, 0), errno.EPERM),
    ("bpf", call64(321, 0, 0, 0), errno.EPERM),
    ("unknown future call", call64(9999), errno.ENOSYS),
]
CASES_32 = [
    ("inet in 32 bit", call32(359, AF_INET, SOCK_STREAM, 0), 0),
    ("vsock in 32 bit", call32(359, AF_VSOCK, SOCK_STREAM, 0), errno.EPERM),
    ("socketcall in 32 bit", call32(102, 1, 0), errno.ENOSYS),
    ("unshare in 32 bit", call32(310, 0x10000000), errno.EPERM),
]
KILLED = 128 + signal.SIGSYS


def statuses(bench: Bench, row: ContainerRow, directory: Path, cases: list[tuple[str, bytes, int]]) -> list[tuple[str, int]]:
    """How each program ends in the container."""
    found = []
    for number, (name, program, _) in enumerate(cases):
        path = directory / f"call{number}"
        path.write_bytes(program)
        path.chmod(0o755)
        copy.into(bench.engine, row, str(path), "/bin/")
        found.append((name, execs.capture(bench.engine, row, [f"/bin/call{number}"], 100.0).status))
    return found


def test_cve_2026_123876_no_way_round(bench: Bench, tmp_path: Path) -> None:
    row = bench.run(shell("sleep 100"))[0]
    assert statuses(bench, row, tmp_path, CASES) == [(name, expected) for name, _, expected in CASES]


def test_32_bit_calls_end_the_caller_where_no_program_needs_them(bench: Bench, tmp_path: Path) -> None:
    row = bench.run(shell("sleep 100"))[0]
    assert statuses(bench, row, tmp_path, CASES_32) == [(name, KILLED) for name, _, _ in CASES_32]


def test_cve_2026_123876_no_way_round_in_32_bit(bench: Bench, tmp_path: Path) -> None:
    """An image with a 32-bit loader gets the same filter for both kinds of calls."""
    tar = tmp_path / "compat.tar"
    shutil.copy(bench.directory / "bb.tar", tar)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/ld-linux.so.2").touch()
    subprocess.run(["tar", "-C", str(tmp_path), "-rf", str(tar), "./lib"], check=True)
    bench.engine.images.import_tar(str(tar), "localhost/compat:1", ["ENV PATH=/bin"])
    row = bench.run(shell("sleep 100")._replace(image="localhost/compat:1"))[0]
    cases = CASES + CASES_32
    assert statuses(bench, row, tmp_path, cases) == [(name, expected) for name, _, expected in cases]


def test_cve_2026_123876_x32_calls_end_the_caller(bench: Bench, tmp_path: Path) -> None:
    row = bench.run(shell("sleep 100"))[0]
    path = tmp_path / "x32"
    path.write_bytes(call64(X32 | UNSHARE, 0x10000000))
    path.chmod(0o755)
    copy.into(bench.engine, row, str(path), "/bin/")
    assert execs.capture(bench.engine, row, ["/bin/x32"], 100.0).status in (128 + 31, errno.ENOSYS, errno.EPERM)
