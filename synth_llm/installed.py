"""What is installed: versions of packages, and what packages add to ours. A look takes as long as a small run does.

Each is looked up once a process.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """What installed packages offer under the name of a group."""
    from importlib import metadata

    return tuple(metadata.entry_points(group=group))


def versions(*packages: str) -> dict[str, str]:
    """The versions of those packages that are installed, in the order given."""
    return {package: version for package in packages if (version := _version(package))}


@cache
def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
