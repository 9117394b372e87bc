"""The guard of conftest.py holds."""

from __future__ import annotations

import os
import socket

import pytest


def test_other_machines_are_refused() -> None:
    with socket.socket() as plain, pytest.raises(RuntimeError, match=r"tried to reach 192\.0\.2\.1"):
        plain.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match=r"tried to reach example\.org"):
        socket.create_connection(("example.org", 80), timeout=1)


def test_this_machine_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()


def test_no_key_is_at_hand() -> None:
    assert not {"OPENAI_API_KEY", "HF_TOKEN"} & set(os.environ)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
