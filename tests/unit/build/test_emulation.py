"""Which platforms' RUN steps a machine can do."""

from __future__ import annotations

from pathlib import Path

from kubeplay.engine.build import emulation


def test_what_runs(tmp_path: Path) -> None:
    def runs(platform: str, machine: str = "linux/amd64") -> bool:
        return emulation.runs(platform, machine, str(tmp_path))

    assert runs("linux/amd64") and runs("linux/386") and runs("linux/amd64/v2") and runs("linux/arm/v7", "linux/arm64")
    assert not runs("linux/arm64") and not runs("windows/amd64")
    (tmp_path / "qemu-aarch64").write_text("enabled\ninterpreter /usr/libexec/qemu\nflags: POCF\noffset 0\n")
    (tmp_path / "qemu-s390x").write_text("enabled\ninterpreter /usr/libexec/qemu\nflags: OC\n")
    (tmp_path / "qemu-ppc64le").write_text("disabled\ninterpreter /usr/libexec/qemu\nflags: F\n")
    assert runs("linux/arm64/v8") and not runs("linux/s390x") and not runs("linux/ppc64le")
