"""Shows untrusted values to people: short, on one line, without control characters."""

from typing import Any

MAX_SHOWN_CHARACTERS = 60


def shown(value: Any) -> str:
    """Return ``value`` as a person can read it in a message, at most `MAX_SHOWN_CHARACTERS` long."""
    if isinstance(value, (dict, list, tuple, set)):
        kind = "a mapping" if isinstance(value, dict) else "a list"
        return f"{kind} of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, (str, bytes)):
        value = value[: MAX_SHOWN_CHARACTERS * 2]
    text = ascii(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def did_you_mean(word: Any, known: list[str]) -> str:
    """Return ``; did you mean x?`` when ``word`` looks like one of ``known``, else an empty text."""
    import difflib

    close = difflib.get_close_matches(str(word)[:100], known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
