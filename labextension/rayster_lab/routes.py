"""What the server answers to the JupyterLab plugin."""

import os
import time
import uuid
from dataclasses import asdict
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from .examples import ExamplesHandler
from .walltime import walltime

# As long as this module is loaded: a server process, and so one run of one job.
STARTED = time.time()
RUN_ID = uuid.uuid4().hex


class WalltimeHandler(APIHandler):
    """``GET rayster/walltime``: what is left, and a name for this run of the server."""

    # An open page asks every few minutes; that must not keep an idle server from being culled.
    _track_activity = False

    @web.authenticated
    def get(self) -> None:
        """Answer ``{"seconds_left", "is_exact", "source", "run_id"}``."""
        answer = walltime(os.environ, time.time(), STARTED)
        self.set_header("Cache-Control", "no-store")
        self.finish({**asdict(answer), "run_id": RUN_ID})


def add_routes(web_app: Any) -> None:
    """Add the routes of this extension to a Jupyter server's ``web_app``."""
    base = url_path_join(web_app.settings["base_url"], "rayster")
    web_app.add_handlers(
        ".*$",
        [
            (url_path_join(base, "walltime"), WalltimeHandler),
            (url_path_join(base, "examples"), ExamplesHandler),
        ],
    )
