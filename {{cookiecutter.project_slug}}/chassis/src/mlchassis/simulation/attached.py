"""A verb as a child process that ends with its parent: `attached PACKAGE VERB …`.

The parent keeps the writing end of the standard input open. The kernel closes it when the parent
ends, even by SIGKILL, which no process can catch.
"""

import os
import runpy
import signal
import sys
import threading


def end_with_parent() -> None:
    """Send SIGTERM to this process when its parent is gone."""
    # Not through `sys.stdin`: its lock, held by a thread at exit, would be a fatal error.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
