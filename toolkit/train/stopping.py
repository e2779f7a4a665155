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

PATIENCE = 40.0  # seconds that processes have which a cluster has asked to stop, less than the cluster's own
LOOK_EVERY = 0.5
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
    if threading.current_thread() is not threading.main_thread():  # which alone may say what signals do
        yield
        return
    before = {number: signal.signal(number, _ask) for number in SIGNALS}
    try:
        yield
    finally:
        _asked = 0
        for number, handler in before.items():
            signal.signal(number, handler)


def stop() -> NoReturn:
    """End with the exit code of a command that wants to be run again; one of several processes leaves that to their parent."""
    logger.info("asked to stop: the checkpoint is written. Next: run the same command again to go on")
    raise SystemExit(0 if "WORLD_SIZE" in os.environ else AGAIN)


def run_together(command: list[str]) -> int:
    """Run torchrun.

    When it gets SIGTERM, it hands that on to its processes and kills them half a minute later.  The other two signals, of which
    it would die, it does not hear: a cluster sends them to every process, and it gets SIGTERM only if that does not help.

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
        left = PATIENCE
        try:
            while process.poll() is None:
                time.sleep(LOOK_EVERY)
                if _asked and left > 0:
                    left -= PATIENCE if _asked == signal.SIGTERM else LOOK_EVERY
                    if left <= 0:
                        process.terminate()
        except KeyboardInterrupt:  # which torchrun has heard too
            process.wait()
            raise
        if _asked:
            raise SystemExit(AGAIN)
    return process.returncode


def _ask(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = number
