"""`python -m kubeplay`."""

from __future__ import annotations

from kubeplay.cli.entry import main

main()
