"""Stacks mounted by fuse-overlayfs, where the kernel's overlayfs refuses: one process per mount, which ends with the mount.

Directories are named relative to the root, in which the program is started: their names there are digests and ids, so that no `:` or `,`
of the root's own path gets into the options. The program opens what it needs before it lets go of us.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence

from kubeplay.engine.host import processes
from kubeplay.engine.host.syscalls import MS_NOSUID, MS_RDONLY
from kubeplay.engine.host.userns import Range
from kubeplay.engine.layers.snapshotter import Stack
from kubeplay.errors import MissingPrerequisite

PROGRAM = "fuse-overlayfs"
_DEVICE = "/dev/fuse"
_END_SECONDS = 2.0  # the process of a mount that nothing holds any more ends in a few ms
_OUTPUT = 4096


def mount(stack: Stack) -> None:
    """Returns when the mount is there. Raises MissingPrerequisite (the program, the device, or it says why not), OSError."""
    program = processes.program(PROGRAM)
    _check_device()
    options = [f"lowerdir={':'.join(_relative(stack, path) for path in stack.lowers)}"]
    if stack.upper:
        options += [f"upperdir={_relative(stack, stack.upper)}", f"workdir={_relative(stack, stack.work)}", "volatile"]
    if stack.flags & MS_RDONLY or not stack.upper:
        options.append("ro")
    if stack.users:
        options += [f"uidmapping={_mapping(stack.users.uids)}", f"gidmapping={_mapping(stack.users.gids)}"]
    options += ["nodev", *(["nosuid"] if stack.flags & MS_NOSUID else [])]
    said, status = _started([program, "-o", ",".join(options), stack.target], stack.root)
    if status:
        lines = [line for line in said.decode(errors="replace").splitlines() if line and "ignored" not in line]
        raise MissingPrerequisite(f"{PROGRAM} does not mount: {'; '.join(lines)[-500:] or f'exit status {status}'}")


def _mapping(ranges: Sequence[Range]) -> str:
    """The ids of the layers, as they are shown."""
    return ":".join(f"{r.inside}:{r.outside}:{r.length}" for r in ranges)


def _relative(stack: Stack, path: str) -> str:
    if not path.startswith(f"{stack.root}/"):
        raise OSError(errno.EXDEV, "not below the root", path)
    return path[len(stack.root) + 1 :]


def _check_device() -> None:
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise MissingPrerequisite(f"{PROGRAM}: {_DEVICE} is not there", hint="modprobe fuse") from None
    except PermissionError:
        hint = 'as other systems have it: chmod 0666 /dev/fuse, and for every boot the udev rule KERNEL=="fuse", MODE="0666"'
        raise MissingPrerequisite(f"{PROGRAM}: only root may open {_DEVICE}", hint=hint) from None
    except OSError as error:
        raise MissingPrerequisite(f"{PROGRAM}: {_DEVICE}: {error.strerror}", hint="modprobe fuse") from None


def _started(argv: list[str], directory: str) -> tuple[bytes, int]:
    """Run the program until it has mounted and gone to the background; what it said and its exit status."""
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            pid = processes.spawn(argv, fds={2: write}, cwd=directory)
        finally:
            os.close(write)
        said = b""
        while data := os.read(read, _OUTPUT):
            said = (said + data)[-_OUTPUT:]
        return said, processes.wait(pid)
    finally:
        os.close(read)


def end(target: str) -> None:
    """See to it that no process is left of a mount that was at `target`: what still reads through it then gets an error."""
    for process in _processes(target):
        if not processes.await_end(process, _END_SECONDS):
            processes.send(process, signal.SIGKILL)


def _processes(target: str) -> list[processes.Process]:
    """Those that serve `target`: it is the last word of their command line."""
    wanted, found = os.fsencode(target), []
    for name in os.listdir("/proc"):
        process = processes.identify(int(name)) if name.isdigit() else None
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read(65536).split(b"\0")
        except OSError:
            continue
        if process is not None and os.path.basename(words[0]) == PROGRAM.encode() and wanted in words[-2:]:
            found.append(process)
    return found
