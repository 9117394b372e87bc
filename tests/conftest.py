"""No test reaches the network, a key, or a real model by accident.

Subprocesses inherit the environment set here, not the guard on sockets.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # tests run side by side
os.environ["HF_HUB_OFFLINE"] = "1"  # now: the clients read it when they are imported
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    """Refuse every address but this machine's, unless the test is marked `network`; hide keys, proxies, weights."""
    for name in (*KEYS, "SYNTH_LLM_PATH"):
        monkeypatch.delenv(name, raising=False)
    if request.node.get_closest_marker("encoder") is not None:
        monkeypatch.setenv("SYNTH_LLM_CACHE", str(_no_vectors(tmp_path_factory)))
    elif request.node.get_closest_marker("local") is None:
        monkeypatch.setenv("SYNTH_LLM_CACHE", str(_no_cache(tmp_path_factory)))
    if request.node.get_closest_marker("network") is not None:
        return
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_others(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_others(self.family, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_others(socket.AF_INET, (host,))
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


def _no_cache(factory: Any) -> Path:
    """A folder without weights: what is fetched on this machine is for tests marked `local`."""
    return Path(factory.getbasetemp()) / "no-cache"


def _no_vectors(factory: Any) -> Path:
    """A folder with this machine's weights, and no vectors of other runs."""
    from synth_llm.models.weights import cache

    folder: Path = factory.mktemp("cache")
    (folder / "models").symlink_to(cache() / "models")
    return folder


def _refuse_others(family: int, address: Any) -> None:
    """Raise for an address of the network; not an OSError, which the code under test may take for a passing failure."""
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in {None, "", "localhost"}:
        return
    try:
        near = ipaddress.ip_address(host.partition("%")[0]).is_loopback or host in {"0.0.0.0", "::"}
    except ValueError:
        near = False
    if not near:
        raise RuntimeError(f"a test tried to reach {host}; mark it `network`, or give it a server of its own")
