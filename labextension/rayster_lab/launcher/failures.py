"""What a node that cannot start says, and with which exit status its process ends."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of `rayster ray start`; a status of Ray's own is passed on unchanged."""

    BAD_SETTINGS = 2
    HEAD_NOT_THERE = 41
    TOKEN_REFUSED = 42
    VERSIONS_DIFFER = 43
    NO_RAY = 44
    NO_ADDRESS = 45
    NO_PORTS = 46
    NO_DIRECTORY = 47
    # 128 + SIGTERM, as a shell has it.
    ENDED = 143


class LaunchError(Exception):
    """A node cannot start. ``str()`` is a sentence for the user; ``code`` the process's exit status."""

    def __init__(self, code: ExitCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
