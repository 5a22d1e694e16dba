"""Manifests to plans: one small file per area, all pure."""

from __future__ import annotations

from kubeplay.play.compile.options import CompileOptions
from kubeplay.play.compile.pod import compile_pod

__all__ = ["CompileOptions", "compile_pod"]
