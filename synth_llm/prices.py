"""What a model's tokens cost: the recipe's own word, then price tables found as prompts are, then the built-in table.

A table is a YAML file named `prices.yaml`, by the endpoint's host and the model's name; see the built-in one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from synth_llm import strict_yaml
from synth_llm.errors import InputError, nearest
from synth_llm.library import Library
from synth_llm.models.openai import URL
from synth_llm.recipe import ModelEntry, Price

TABLE = "prices.yaml"
BUILTIN = Path(__file__).with_name(TABLE)
FREE = Price(input=0, output=0)
OWN_HOSTS = ("local", "localhost", "internal")
"""How the names of machines of one's own end."""


class Host(BaseModel):
    """The models of one endpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page: str = ""
    """Where the prices are published."""
    seen: str = ""
    """When they were read there, such as `2026-03`."""
    models: dict[str, Price]
    """By the model's name, or by its beginning and `*`."""


class Priced(NamedTuple):
    """What a model costs, and how that is known."""

    price: Price | None
    """None when nobody knows."""
    origin: str
    """For people: `the recipe`, `prices.yaml:12`, `the built-in table, as of 2026-03; check PAGE`, ..."""

    @property
    def rates(self) -> tuple[float, float]:
        """Dollars a million prompt tokens, and answer tokens; zeros when nobody knows."""
        return (self.price.input, self.price.output) if self.price else (0.0, 0.0)


class Table:
    """One price table."""

    def __init__(self, path: Path) -> None:
        self.path, self._document = path, strict_yaml.load(path)

    @cached_property
    def hosts(self) -> dict[str, Host]:
        """The table by host. Raises InputError, with the line, for what is no such table."""
        value = self._document.value
        if not isinstance(value, Mapping):
            raise InputError("a price table holds hosts, such as `api.example.com: {models: {...}}`", self.path, 1)
        return {host.lower(): self._host(host, entry) for host, entry in value.items()}

    def _host(self, host: str, entry: object) -> Host:
        if "/" in host or ":" in host:
            message = f"'{host}' is no host: write it without scheme, port and path, such as api.example.com"
            raise InputError(message, self.path, self._line((host,)))
        try:
            return Host.model_validate(entry)
        except ValidationError as error:
            first = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")[0]
            loc = (host, *first["loc"])
            raise InputError(_explained(host, first["type"], loc, first["msg"]), self.path, self._line(loc)) from None

    def _line(self, loc: tuple[str | int, ...]) -> int:
        return self._document.line(loc)

    def find(self, host: str, model: str) -> Priced | None:
        """The price of a model: by its whole name, else by the longest beginning that fits; None when it has none."""
        entry = self.hosts.get(host)
        if entry is None:
            return None
        fitting = [n for n in entry.models if n == model or (n.endswith("*") and model.startswith(n[:-1]))]
        if not fitting:
            return None
        name = max(fitting, key=lambda one: (one == model, len(one)))
        if self.path == BUILTIN:
            return Priced(entry.models[name], f"the built-in table, as of {entry.seen}; check {entry.page}")
        return Priced(entry.models[name], f"{self.path}:{self._line((host, 'models', name))}")


def price_of(entry: ModelEntry, library: Library) -> Priced:
    """What a model of a recipe costs. Raises InputError for a table that cannot be read.

    The recipe's `price` wins; then the tables, the first that names the model. What runs on one's own machines costs
    nothing unless one of these says so.
    """
    if entry.price is not None:
        return Priced(entry.price, "the recipe")
    if entry.engine != "openai":
        return Priced(FREE, f"engine '{entry.engine}' costs nothing")
    host = (urlsplit(entry.url or URL).hostname or "").lower()
    for table in _tables(library):
        found = table.find(host, entry.model or "")
        if found is not None:
            return found
    if is_own(host):
        return Priced(FREE, f"{host} is an address of your own")
    return Priced(None, f"no price table knows '{entry.model}' at {host}")


def _tables(library: Library) -> Iterator[Table]:
    for path in library.beside(TABLE):
        yield _table(path, path.stat().st_mtime_ns)
    yield _table(BUILTIN, 0)


@lru_cache(maxsize=16)
def _table(path: Path, changed: int) -> Table:
    """A table, read once as it stands."""
    return Table(path)


def is_own(host: str) -> bool:
    """Whether a host is this machine or one of a private network.

    >>> [is_own(host) for host in ("127.0.0.1", "::1", "10.0.0.7", "gpu-box", "api.openai.com")]
    [True, True, True, True, False]
    """
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host.rpartition(".")[2] in OWN_HOSTS or "." not in host


def _explained(host: str, kind: str, loc: tuple[str | int, ...], said: str) -> str:
    """One line for what is wrong with a host's entry."""
    last = str(loc[-1])
    if kind == "extra_forbidden":
        known = Host.model_fields if len(loc) == 2 else Price.model_fields
        return f"{host}: no setting '{last}'{nearest(last, known)}"
    if kind == "missing":
        return f"{'.'.join(map(str, loc[:-1]))}: '{last}' is missing"
    if len(loc) in {3, 1}:
        return f"{'.'.join(map(str, loc))}: write {{input: 0.25, output: 2}}, in dollars a million tokens"
    return f"{'.'.join(map(str, loc))}: {said[0].lower()}{said[1:]}"
