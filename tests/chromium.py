"""The browser of the tests."""

import shutil
from typing import Any

# What nobody looks at costs processor time all the same: the panes of a window's frame, sound, extensions.
_UNUSED = (
    "PreloadTopChromeWebUI",
    "InitialWebUI",
    "WebUIReloadButton",
    "WebUIOmniboxPopup",
    "SidePanelPreload",
)
LAUNCH: dict[str, Any] = {
    "executable_path": shutil.which("chromium") or "chromium",
    "args": [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--disable-features={','.join(_UNUSED)}",
    ],
}  # fmt: skip
"""What Playwright's `chromium.launch` needs here."""
