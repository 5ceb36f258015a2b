"""Where this code runs, as far as it matters for what can be shown."""

import sys


def is_notebook() -> bool:
    """Tell whether this is a kernel of a notebook, which shows HTML and widgets; a console does not."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return type(get_ipython()).__name__ == "ZMQInteractiveShell"
