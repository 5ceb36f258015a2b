"""The panel's code for the browser, in one piece: anywidget takes a single module."""

import re
from pathlib import Path

_STATIC = Path(__file__).parent / "static"
# The last one renders; each imports from those before it only.
_MODULES = (
    "dom.js", "words.js", "parts.js", "rows.js", "form.js", "log.js", "deeds.js", "card.js",
    "page.js", "kernel.js", "offer.js", "view.js",
)  # fmt: skip
_IMPORT = re.compile(r"^import\s[^;]*?from '\./[a-z]+\.js';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def script(directory: Path = _STATIC) -> str:
    """Return the modules as one: without the imports of each other, and with one default export."""
    return "\n".join(_joined((directory / name).read_text(encoding="utf-8")) for name in _MODULES)


def style(directory: Path = _STATIC) -> str:
    """Return the panel's CSS."""
    return (directory / "panel.css").read_text(encoding="utf-8")


def _joined(source: str) -> str:
    return _EXPORT.sub("", _IMPORT.sub("", source))
