"""`python -m synth_llm.models.guard COMMAND ...`: runs a command that is not to outlive the process that started it.

Its standard input is a pipe that nobody writes to. When the other end is gone, because the starter closed it or was
killed, even with -9, the command is asked to end, and after some seconds it and all its children are killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE = 10.0
"""Seconds a command has to end by itself."""


def main(command: list[str]) -> None:
    """Run the command; ends with all of its process group, so it needs a session of its own."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_watch, args=(child,), daemon=True).start()
    child.wait()
    os.killpg(0, signal.SIGKILL)  # what the command has started, and this process


def _watch(child: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
