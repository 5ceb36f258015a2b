"""The spawn form and the hub's pages around it: everything a user sees between login and JupyterLab.

Needs jinja2 (extra `hub`). The hub shows what `render_form` returns, hands back what `options_from_form` reads, and
finds its pages in `template_paths` and their CSS and JavaScript behind `static_handlers`.
"""

from .pages import EndView, LivePage, PendingView, pending_view, static_handlers, template_paths
from .received import options_from_form, options_from_query, said_anyway
from .render import render_form
from .wording import summarise

__all__ = [
    "EndView",
    "LivePage",
    "PendingView",
    "options_from_form",
    "options_from_query",
    "pending_view",
    "render_form",
    "said_anyway",
    "static_handlers",
    "summarise",
    "template_paths",
]
