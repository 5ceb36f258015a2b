"""What `bin/sbatch` and its like run: sends the command line to the queue's daemon and prints its answer.

Run as `python client.py SOCKET COMMAND [argument...]`. Standard library only, so that it starts quickly.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path


def main() -> int:
    """Return the command's exit status."""
    path, command, *argv = sys.argv[1:]
    request = {
        "command": command,
        "argv": argv,
        "directory": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                reply = json.loads(answer.readline())
    except (OSError, ValueError):
        prefix = f"{command}: error: " if command != "squeue" else "slurm_load_jobs error: "
        print(f"{prefix}Unable to contact slurm controller (connect failure)", file=sys.stderr)
        return 1
    # A job's name may have been cut in the middle of a character.
    sys.stdout.buffer.write(reply["out"].encode("utf-8", errors="surrogateescape"))
    sys.stderr.write(reply["err"])
    return int(reply["status"])


if __name__ == "__main__":
    sys.exit(main())
