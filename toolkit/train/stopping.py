"""A training that is asked to stop: it writes a checkpoint after the step it is at, and ends so that it is begun again.

Who asks is `kill`, or a cluster whose time is up: SIGTERM, SIGUSR1 or SIGUSR2.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from toolkit import log
from toolkit.launch import AGAIN

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

logger = log.get(__name__)
_asked = 0  # by which signal


def asked() -> bool:
    """Whether this process has been asked to stop."""
    return _asked != 0


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Within the block, being asked to stop does not end the process: `asked` says so."""
    global _asked
    _asked = 0
    if threading.current_thread() is not threading.main_thread():  # which alone may say what signals do
        yield
        return
    before = {number: signal.signal(number, _ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop() -> NoReturn:
    """End with the exit code of a command that wants to be run again; one of several processes leaves that to their parent."""
    logger.info("asked to stop: the checkpoint is written. Next: run the same command again to go on")
    raise SystemExit(0 if "WORLD_SIZE" in os.environ else AGAIN)


def run_together(command: list[str]) -> int:
    """Run torchrun.

    It ends its processes when it gets SIGTERM, and gives them half a minute for it.  The other two signals, of which it would
    die, it does not hear: a cluster sends them to every process.

    Args:
        command: its words.

    Returns:
        Its exit code.

    Raises:
        SystemExit: it was asked to stop, and has.
    """

    def deafen() -> None:
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)

    with listening():
        process = subprocess.Popen(command, preexec_fn=deafen)
        is_told = False
        try:
            while process.poll() is None:
                time.sleep(0.5)
                if _asked == signal.SIGTERM and not is_told:
                    process.terminate()
                    is_told = True
        except KeyboardInterrupt:  # which torchrun has heard too
            process.wait()
            raise
        if _asked:
            raise SystemExit(AGAIN)
    return process.returncode


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = number
