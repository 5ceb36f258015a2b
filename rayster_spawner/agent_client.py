"""Asks a site's agent: one bounded request, a typed answer or one AgentFailed that says why there is none."""

import asyncio
import os
import ssl
from enum import Enum
from pathlib import Path
from typing import TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from .profiles import Agent
from .text import shown

MAX_ANSWER_BYTES = 32 * 2**20
MAX_TOKEN_CHARACTERS = 4096

_Stamp = tuple[int, int, int]
_Answer = TypeVar("_Answer", bound=BaseModel)
# What files held when they were read last; a `stat` tells whether that is still so.
_tokens: dict[str, tuple[_Stamp, str]] = {}
_contexts: dict[str, tuple[_Stamp, ssl.SSLContext]] = {}


class Failure(str, Enum):
    """Why an agent gave no answer."""

    NO_TOKEN = "no-token"  # noqa: S105 - the name of a failure
    TOKEN_REFUSED = "token-refused"  # noqa: S105 - the name of a failure
    SILENT = "silent"
    GARBAGE = "garbage"


class AgentFailed(Exception):
    """The agent gave no answer; ``kind`` tells why in a word, the text in a sentence for administrators."""

    def __init__(self, kind: Failure, said: str):
        super().__init__(said)
        self.kind = kind


def read_token(agent: Agent) -> str:
    """Return the token of a site. Raises AgentFailed when there is none that could be used."""
    if agent.token_env is not None:
        where, token = f"the environment variable {agent.token_env}", os.environ.get(agent.token_env, "")
    else:
        assert agent.token_file is not None
        where = agent.token_file
        try:
            token = _read_token_file(agent.token_file)
        except OSError as error:
            raise AgentFailed(Failure.NO_TOKEN, f"{where} cannot be read: {error.strerror}") from None
        except ValueError:
            token = "\0"  # noqa: S105 - refused below, like any other text that is no token
    token = token.strip()
    if not token:
        raise AgentFailed(Failure.NO_TOKEN, f"there is no token in {where}")
    if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        allowed = f"one word of at most {MAX_TOKEN_CHARACTERS} ASCII characters"
        raise AgentFailed(Failure.NO_TOKEN, f"what is in {where} is no token; it must be {allowed}")
    return token


def _read_token_file(path: str) -> str:
    stamp = _stamp(path)
    known = _tokens.get(path)
    if known is None or known[0] != stamp:
        with Path(path).open(encoding="ascii") as file:
            known = _tokens[path] = stamp, file.read(MAX_TOKEN_CHARACTERS + 100)
    return known[1]


def _stamp(path: str) -> _Stamp:
    # Follows links: Kubernetes replaces a mounted Secret by switching one.
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _trust(agent: Agent) -> ssl.SSLContext | bool:
    """Return what decides whether the agent's certificate is good: the site's own file, or the system's."""
    if agent.ca_file is None:
        return True
    stamp = _stamp(agent.ca_file)
    known = _contexts.get(agent.ca_file)
    if known is None or known[0] != stamp:
        context = ssl.create_default_context(cafile=agent.ca_file)
        known = _contexts[agent.ca_file] = stamp, context
    return known[1]


async def ask_agent(
    session: aiohttp.ClientSession, agent: Agent, path: str, kind: type[_Answer], timeout_seconds: float
) -> _Answer:
    """Return the agent's answer to ``GET path``. Raises AgentFailed, and nothing else.

    Arguments: ``kind`` is what the answer has to be; ``timeout_seconds`` bounds the whole request.
    """
    headers = {"Authorization": f"Bearer {read_token(agent)}", "Accept": "application/json"}
    url = agent.url.rstrip("/") + path
    try:
        # Redirects are not followed: the token is for this address only.
        async with session.get(
            url,
            headers=headers,
            ssl=_trust(agent),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        ) as answer:
            if answer.status in (401, 403):
                raise AgentFailed(Failure.TOKEN_REFUSED, f"{url} refuses the token (HTTP {answer.status})")
            if answer.status != 200:
                raise AgentFailed(Failure.SILENT, f"{url} answers HTTP {answer.status}")
            body = await _read(answer, url)
    except asyncio.TimeoutError:
        raise AgentFailed(Failure.SILENT, f"{url} has not answered in {timeout_seconds:g} s") from None
    except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
        raise AgentFailed(Failure.SILENT, f"{url} cannot be asked: {error or type(error).__name__}") from None
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        said = f"{url} answers what cannot be understood: {where}: {first['msg']} ({shown(first['input'])})"
        raise AgentFailed(Failure.GARBAGE, said) from None
    except RecursionError:
        raise AgentFailed(Failure.GARBAGE, f"{url} answers what is nested too deeply") from None


async def _read(answer: aiohttp.ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(2**16):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AgentFailed(Failure.GARBAGE, f"{url} answers more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)
