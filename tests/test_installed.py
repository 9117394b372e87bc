"""What is installed."""

from __future__ import annotations

from importlib import metadata

from synth_llm.installed import entry_points, versions


def test_versions_are_those_of_the_packages_that_are_there() -> None:
    assert versions("pydantic", "no-such-package") == {"pydantic": metadata.version("pydantic")}


def test_what_a_package_offers_is_found() -> None:
    assert "pytest11" in {entry.group for entry in entry_points("pytest11")}
    assert entry_points("synth_llm.nothing") == ()
