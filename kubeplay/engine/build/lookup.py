"""Which file is the Containerfile, and which its ignore file."""

from __future__ import annotations

from kubeplay.errors import NotSupported

NAMES = ("Containerfile", "Dockerfile")  # in this order, in the context's root
IGNORE_NAMES = (".containerignore", ".dockerignore")


def ignore_names(file: str) -> tuple[str, ...]:
    """Names beside `file` that come before IGNORE_NAMES of the context's root; the first that exists is the only one read."""
    return (f"{file}.containerignore", f"{file}.dockerignore")


def check(file: str) -> None:
    """Raises NotSupported for a file that wants the C preprocessor."""
    if file.endswith(".in"):
        raise NotSupported(f"{file}: a Containerfile.in is read through the C preprocessor, which kubeplay does not run",
                           hint=f"cpp -E -P {file} -o {file.removesuffix('.in')}")  # fmt: skip
