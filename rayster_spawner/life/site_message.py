"""Turns what a site says about a failed job into one sentence for people, with the site's own words in it."""

import html
import re

from .. import interlink
from .endings import EndCode

MAX_MESSAGE_CHARACTERS = 1000

# interLink wraps the plugin's answer: `... (HTTP 504): HTTP InterLink session ...: Body: <the program's own words>`.
_WRAPPER_END = "Body:"
_EXIT_STATUS = re.compile(r"Error: ([0-9]{1,5})", re.ASCII)
# Kubernetes' own reasons.
_DEADLINE_EXCEEDED = "DeadlineExceeded"
_ENDS = {
    _DEADLINE_EXCEEDED: EndCode.WALLTIME,
    "OOMKilled": EndCode.OUT_OF_MEMORY,
    "NodeLost": EndCode.NODE_FAILED,
    "NodeShutdown": EndCode.NODE_FAILED,
    "Preempting": EndCode.PREEMPTED,
    interlink.PROVIDER_FAILED: EndCode.START_FAILED,
}
_PROGRAMS = (("sbatch", "SLURM"), ("condor_submit", "HTCondor"))


def site_words(message: str) -> str:
    """Return the innermost message: without interLink's wrapping, HTML entities and line breaks, of bounded length."""
    # Entities are sometimes escaped once more on the way; twice is what was seen, and a plain text stays as it is.
    text = html.unescape(html.unescape(message[: 20 * MAX_MESSAGE_CHARACTERS]))
    text = text.rpartition(_WRAPPER_END)[2].strip() or text
    lines = (" ".join(_printable(line).split()) for line in text.splitlines())
    text = "; ".join(line for line in lines if line)
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"


def why_it_failed(reason: str, message: str, exit_code: int | None = None) -> str:
    """Return why a pod failed, as one sentence for its user.

    Arguments: ``reason`` and ``message`` are the pod's `status.reason` and `status.message` (or those of its
    container), ``exit_code`` what the container ended with.
    """
    words = site_words(message)
    if interlink.WALLTIME_MESSAGE in words:
        return "The job reached its time limit."
    if reason == _DEADLINE_EXCEEDED:
        return "The server reached its time limit."
    if reason == interlink.PROVIDER_FAILED:
        return _refusal(words)
    if reason == "OOMKilled":
        return f"The server ran out of memory{_tail(words)}"
    if status := _EXIT_STATUS.fullmatch(reason):
        return f"The job ended with exit status {status[1]}{_tail(words)}"
    if reason in ("", "Error", "Completed") and exit_code is not None:
        return f"The server ended with exit status {exit_code}{_tail(words)}"
    said = ": ".join(filter(None, (site_words(reason), words)))
    return said or "The pod failed and does not say why."


def how_it_failed(reason: str, message: str) -> EndCode:
    """Return how a pod ended that failed with these `status.reason` and `status.message`."""
    if interlink.WALLTIME_MESSAGE in message:
        return EndCode.WALLTIME
    return _ENDS.get(reason, EndCode.FAILED)


def _refusal(words: str) -> str:
    if not words:
        return "The site refused the job and does not say why."
    who = next((name for program, name in _PROGRAMS if program in words), "The site")
    return f"{who} refused the job: {words}"


def _tail(words: str) -> str:
    return f": {words}" if words else "."


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
