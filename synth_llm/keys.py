"""API keys stay in the environment: what others say is rid of them before it is shown, logged or written."""

from __future__ import annotations

import logging
import os
import re
from typing import AnyStr

from synth_llm.errors import InputError

LONG = 8
"""Characters from which a key is a secret: shorter ones are stand-ins for endpoints that want none."""
SURE = 16
"""Characters from which a key cannot be a word of a text that a model wrote."""
VARIABLE = re.compile(r"(?!(?=\w*\d)[A-Za-z0-9]{20})[A-Za-z_]\w*", re.ASCII)
"""A name of an environment variable. Twenty letters and digits in a row are a key, written there by mistake."""
TRANSPORTS = ("httpcore", "httpcore2", "httpx", "httpx2")
"""The transport below other clients. Its loggers write down headers and addresses as they came."""


def hidden(said: AnyStr, key: str, name: str, least: int = LONG) -> AnyStr:
    """What an endpoint said, with `$NAME` where it repeats the key; keys shorter than `least` are no secrets.

    >>> hidden("no such key: sk-0123456789", "sk-0123456789", "MY_KEY")
    'no such key: $MY_KEY'
    """
    if len(key) < least:
        return said
    if isinstance(said, bytes):
        return said.replace(key.encode(), f"${name}".encode())
    return said.replace(key, f"${name}")


def read_key(model: str, name: str) -> str:
    """The API key in the environment variable `name`. Raises InputError, which never shows it."""
    key = os.environ.get(name)
    if not key:
        raise InputError(f"model {model}: the environment variable {name} holds no API key")
    if not key.isascii() or not key.isprintable():
        raise InputError(
            f"model {model}: the API key in {name} holds a line end or another character that no key has; set it again"
        )
    return key


def quiet_transport() -> None:
    """Keep out of the log what an endpoint may repeat a key in: its headers, and the addresses it redirects to."""
    for name in TRANSPORTS:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)
