"""A shell that acts when we are done, and also when we are killed: it waits for the end of a pipe which only we hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kubeplay.engine.host import processes


@contextmanager
def afterwards(script: str) -> Iterator[int]:
    """Run `script` by sh beside the block, its standard input the pipe; the descriptor to write to it. The block ends when it has ended."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        shell = processes.spawn([processes.program("sh"), "-c", script], fds={0: reader})
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)
        processes.wait(shell)
