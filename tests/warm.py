"""Runs many commands of `toolkit` without loading torch for each: a process that has it, and a child of it for each command.

Clients hand their words, folder, environment and files over, and wait for the exit code.  What lies in the served folder's
`toolkit` is imported anew when a file of it has changed, as a command that is started anew would see it.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

CLIENT = """#!{python} -SE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [b"."], [0, 1, 2])
server.sendall(json.dumps([{program!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode())
server.shutdown(socket.SHUT_WR)
sys.exit(server.recv(1)[0])
"""


def client(program: str, address: Path) -> str:
    """The text of a program that hands its work over.

    Args:
        program: `toolkit` or `python`.
        address: the socket that calls are `served` at.
    """
    return CLIENT.format(python=sys.executable, address=str(address), program=program)


@contextmanager
def served(folder: Path, address: Path) -> Iterator[None]:
    """Have calls at `address` served, as long as this lasts.

    Args:
        folder: whose `toolkit` is called.
        address: of the socket to make.
    """
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}  # read when torch is loaded
    words = [sys.executable, __file__, folder, address]
    server = subprocess.Popen(words, env=os.environ | threads, start_new_session=True)
    while not address.exists():
        assert server.poll() is None
        time.sleep(0.05)
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _serve(folder: Path, address: Path) -> NoReturn:
    import jsonargparse  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import scipy.stats  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401
    import torchaudio  # noqa: F401

    sys.path.insert(0, str(folder))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen()
    while True:
        if os.fork() == 0:
            _serve_until_a_file_changes(listener, folder)
        if os.wait()[1]:
            sys.exit("this toolkit cannot be imported")


def _serve_until_a_file_changes(listener: socket.socket, folder: Path) -> NoReturn:
    before = _state(folder)
    import toolkit.infer.opened
    import toolkit.infer.run
    import toolkit.report
    import toolkit.report.summary
    import toolkit.score.run
    import toolkit.train.run  # noqa: F401

    while True:
        select.select([listener], [], [])
        if _state(folder) != before:
            os._exit(0)  # whoever calls waits for the next process
        connection, _ = listener.accept()
        if os.fork() == 0:
            _answer(connection)
        connection.close()


def _state(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in (folder / "toolkit").rglob("*.py"))


def _answer(connection: socket.socket) -> NoReturn:
    """Do what the connection asks for in a process of its own, and tell its exit code."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb") as stream:
        program, words, place, environment = json.load(stream)
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(place)
        os.environ.clear()
        os.environ.update(environment)
        os._exit(_call(program, words))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError):  # whoever called was killed
        connection.sendall(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _call(program: str, words: list[str]) -> int:
    """`toolkit WORDS` or `python -c TEXT`; the exit code."""
    code: object = 0
    try:
        if program == "toolkit":
            from toolkit.cli import main

            sys.argv = ["toolkit", *words]
            main()
        else:
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 1


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]))
