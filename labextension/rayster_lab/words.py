"""How amounts of time are said to people; `widget/static/words.js` says them the same way. Pure."""


def span(seconds: float) -> str:
    """Return ``seconds`` for reading: ``40 s``, ``12 min``, ``3 h 05 min``, ``4 d``."""
    if seconds < 60:
        return f"{max(0, int(seconds))} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours // 24} d" if hours >= 48 else f"{hours} h {minutes:02d} min"


def workers(number: int) -> str:
    """Return ``1 worker``, ``2 workers``."""
    return f"{number} worker{'' if number == 1 else 's'}"
