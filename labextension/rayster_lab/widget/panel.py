"""The panel: an ipywidget that is told what becomes of the clusters, and whose buttons act in threads."""

import threading
import time
from collections.abc import Callable
from html import escape
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from ..attaching import driver
from ..client.errors import NoService
from ..client.feed import Snapshot
from ..client.session import session
from .actions import Actions
from .assets import script, style
from .log_streams import LogStreams
from .told import told

_MAX_WORD_CHARACTERS = 100


class RayPanel(anywidget.AnyWidget):
    """All clusters of a user, or the one that ``cluster`` names."""

    _esm = script()
    _css = style()
    cluster = traitlets.Unicode("").tag(sync=True)
    told = traitlets.Dict().tag(sync=True)

    def __init__(self, cluster: str = "") -> None:
        self._lock = threading.Lock()
        self._stops: list[Callable[[], None]] = []
        try:
            here = session()
        except NoService as error:
            super().__init__(cluster=cluster, told={"trouble": str(error), "at": time.time()})
            return
        super().__init__(cluster=cluster, told={"clusters": None, "at": time.time()})
        self._actions = Actions(here.service, driver, here.access.server)
        self._logs = LogStreams(here.service, self._say)
        self._feed = here.feed
        self.on_msg(self._hear)
        self._stops = [driver.listen(self._tell), here.feed.listen(self._tell)]

    def open(self) -> None:
        """Open the line to the front-ends."""
        super().open()
        # ipykernel 7.4 lets what a page sends go where the last message came from; that of a thread counts as the main
        # shell's, which runs cells. Without it pages choose, and take a subshell: buttons work while a cell runs.
        if self.comm is not None:
            self.comm._reply_subshell_for = None

    def close(self) -> None:
        """Show nothing any more."""
        for stop in self._stops:
            stop()
        super().close()

    def _ipython_display_(self, **options: Any) -> None:
        """Show it, with what a reader of the saved notebook, or of a notebook without its kernel, sees instead."""
        which = f"Ray cluster {escape(self.cluster)}" if self.cluster else "your Ray clusters"
        when = time.strftime("%Y-%m-%d %H:%M")
        # The panel's style hides this while there is a panel.
        saved = f'<p class="rayster-saved">Live panel of {which}, shown on {when}. Run this cell to see it live.</p>'
        display({"text/html": saved, "text/plain": self._plain()}, raw=True)
        bundle = self._repr_mimebundle_() or ({}, {})
        display({**bundle[0], "text/plain": self._plain()}, metadata=bundle[1], raw=True)

    def _plain(self) -> str:
        return f'RayCluster.connect("{self.cluster}")' if self.cluster else "rayster_lab.panel()"

    def _tell(self, snapshot: Snapshot | None = None) -> None:
        """Push the newest state to all front-ends. From any thread."""
        with self._lock:
            if self.comm is None:
                return
            known = snapshot or self._feed.snapshot
            self.told = told(known, driver.attached, time.time(), self.cluster, self.told)

    def _say(self, message: dict[str, Any]) -> None:
        if self.comm is not None:
            self.send(message)

    def _hear(self, widget: Any, content: Any, buffers: Any) -> None:
        """Take a message of a view. Returns at once: this may be the kernel's own thread."""
        if not isinstance(content, dict):
            return
        view = str(content.get("view", ""))[:_MAX_WORD_CHARACTERS]
        ask = content.get("do")
        if ask == "hello":
            self._logs.keep(view)
            self._say({"kind": "hello", "view": view, "now": time.time()})
        elif ask == "log":
            pod = content.get("pod")
            cluster_id = str(content.get("cluster", ""))[:_MAX_WORD_CHARACTERS]
            self._logs.open(view, cluster_id, str(pod)[:300] if pod else None)
        elif ask == "log-close":
            self._logs.close(view)
        else:
            ticket = str(content.get("ticket", ""))[:_MAX_WORD_CHARACTERS]
            self._say({"kind": "taken", "view": view, "ticket": ticket})
            threading.Thread(
                target=self._act, args=(view, ticket, content), name="rayster-action", daemon=True
            ).start()

    def _act(self, view: str, ticket: str, content: dict[str, Any]) -> None:
        self._say({**self._actions.do(content), "view": view, "ticket": ticket})


_panels: dict[str, RayPanel] = {}


def panel(cluster: str = "") -> RayPanel:
    """Return the live panel of your Ray clusters (of ``cluster`` alone, by its id): put it last in a cell.

    It shows clusters made here and elsewhere, starts, scales, attaches and stops them. One kernel has one panel for
    each; shown twice it is two views of the same.
    """
    known = _panels.get(cluster)
    if known is None or known.comm is None:
        known = _panels[cluster] = RayPanel(cluster)
    return known
