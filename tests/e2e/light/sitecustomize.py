"""Makes `jupyterhub-singleuser` a server of a few MiB, where this folder is in PYTHONPATH: many of them fit a laptop.

Python imports this module before any program. The standard library alone: importing JupyterHub would take the memory.
"""

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PAGE = "<!doctype html><title>Light server</title><h1>Light server</h1><p>Job {job}</p>"


class Handler(BaseHTTPRequestHandler):
    """Answers below its own prefix only: the hub must not take another server on the port for this one."""

    def do_GET(self) -> None:
        """Tell which job this is."""
        is_mine = self.path.startswith(self.server.prefix)
        body = PAGE.format(job=os.environ.get("SLURM_JOB_ID")).encode()
        self.send_response(200 if is_mine else 404)
        self.send_header("X-JupyterHub-Version", "0")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Write nothing."""


def bound(host: str, port: int) -> ThreadingHTTPServer:
    """Return a server on the port, which another program of this machine may have for a moment; end without it.

    An error here Python would only print, and go on with the real `jupyterhub-singleuser`.
    """
    deadline = time.monotonic() + 20
    while True:
        try:
            return ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            if time.monotonic() > deadline:
                print(f"light server: port {port}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            time.sleep(0.2)


def serve() -> None:
    """Serve where the hub looks, until the job ends."""
    url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    server = bound(url.hostname or "127.0.0.1", url.port or 8888)
    server.prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
    server.serve_forever()


if any(word.endswith("jupyterhub-singleuser") for word in sys.orig_argv):
    serve()
