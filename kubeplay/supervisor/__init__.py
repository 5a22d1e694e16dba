"""The only long-lived process of kubeplay, and only while a timer runs: `ensure` starts it, `wake` tells it to look."""

from __future__ import annotations

from kubeplay.supervisor.start import ensure, install, wake

__all__ = ["ensure", "install", "wake"]
