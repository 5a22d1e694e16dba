"""Web pages of a stack that was just played: its containers have started, their servers may not listen yet."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

# How long a server may take from its container's start until it listens; ten times what the slowest machine seen (CI) took.
LISTENS = 60.0
NOT_YET = (502, 503)  # what a front says whose backend does not listen yet


def page(url: str | urllib.request.Request, seconds: float = LISTENS) -> str:
    """The page's text, once the server behind `url` listens.

    A visit that was refused, or that a front could not pass on, is made again: no server has seen it. One that was taken is waited for and
    never repeated, so that each call is one visit for whoever counts them. AssertionError with the last refusal after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as answer:
            answer.close()
            refusal, again = str(answer), answer.code in NOT_YET
        except urllib.error.URLError as error:
            refusal, again = str(error), isinstance(error.reason, ConnectionRefusedError)
        assert again and time.monotonic() < deadline, f"{url}: {refusal}"
        time.sleep(0.05)
