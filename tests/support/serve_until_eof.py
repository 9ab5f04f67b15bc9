"""Runs a server until standard input ends, which it does with whoever started this, however that ends.

`python -m tests.support.serve_until_eof COMMAND ...`
"""

from __future__ import annotations

import os
import subprocess
import sys


def main() -> None:
    """Run the command of the arguments, and end it at the end of standard input."""
    with subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL) as server:
        while os.read(0, 1024):
            pass
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


if __name__ == "__main__":
    main()
