"""How the plugin reads sbatch flags from a pod annotation: its own word splitting and its own duplicates rule."""

from __future__ import annotations

from collections.abc import Iterable

# What Go's unicode.IsSpace accepts; Python's str.isspace would add four control characters.
_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)

_ALIASES = {
    "-A": "--account",
    "-C": "--constraint",
    "-D": "--chdir",
    "-G": "--gpus",
    "-J": "--job-name",
    "-N": "--nodes",
    "-c": "--cpus-per-task",
    "-n": "--ntasks",
    "-o": "--output",
    "-p": "--partition",
    "-t": "--time",
    "-w": "--nodelist",
}


def split_words(text: str) -> list[str]:
    """Split like a shell without expansions: quotes are removed, a backslash quotes also inside double quotes."""
    words: list[str] = []
    word: list[str] = []
    started, escaping, quote = False, False, ""
    for char in text:
        if escaping:
            word.append(char)
            escaping = False
        elif char == "\\" and quote != "'":
            started = escaping = True
        elif char in "'\"" and quote in ("", char):
            started = True
            quote = "" if quote else char
        elif char not in _SPACES or quote:
            word.append(char)
            started = True
        elif started:
            words.append("".join(word))
            word, started = [], False
    if escaping:
        word.append("\\")
    if started:
        words.append("".join(word))
    return words


def split_flags(text: str) -> list[str]:
    """Return the flags of annotation `slurm-job.vk.io/flags`, each with the words that follow it.

    Quotes are gone afterwards, so a value with a space becomes several words for sbatch, and a
    newline inside quotes stays a newline: the reason why nobody untrusted may write this annotation.
    """
    words = split_words(text)
    flags: list[str] = []
    position = 0
    while position < len(words):
        flag = words[position].strip(_SPACES)
        position += 1
        if flag.startswith("-"):
            while position < len(words) and not words[position].startswith("-"):
                flag += " " + words[position]
                position += 1
        if flag:
            flags.append(flag)
    return flags


def flag_key(flag: str) -> str:
    """Return the long name of a flag, such as `--time` for `-t 10` and for `--time=10`."""
    words = split_words(flag.strip(_SPACES))
    key = words[0].split("=", 1)[0] if words else ""
    return _ALIASES.get(key, key)


def deduplicate(flags: Iterable[str]) -> list[str]:
    """Keep of each flag the last value, at the place of the first."""
    latest: dict[str, str] = {}
    for flag in flags:
        flag = flag.strip(_SPACES)
        if key := flag_key(flag):
            latest[key] = flag
    return list(latest.values())
