"""Finds a prompt, a recipe or a filter by name, and loads filters.

A name is a path below the folder of its kind, without the suffix: prompt `judge/label` is `prompts/judge/label.jinja`.
The places, and the first that has the name wins: the recipe's folder (and the project around it, when that folder is
`recipes`), the current folder, each folder of $SYNTH_LLM_PATH, plugins, the built-in content. `builtin:NAME` is always
the built-in one. A plugin is a package with these three folders, named by an entry point of group `synth_llm.content`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import keyword
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Literal, NamedTuple

from synth_llm.errors import InputError, SynthError, nearest
from synth_llm.installed import entry_points
from synth_llm.row import Verdict

Kind = Literal["prompts", "recipes", "filters"]
SUFFIX: dict[Kind, str] = {"prompts": ".jinja", "recipes": ".yaml", "filters": ".py"}
Filter = Callable[..., Verdict]

_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BUILTIN = "builtin:"
_PACKAGE = Path(__file__).resolve().parent


class Found(NamedTuple):
    """Where a name was found: the file, and a word for the place."""

    path: Path
    origin: str


class _Place(NamedTuple):
    folder: Path
    origin: str
    installed: bool = False  # installers may link files from a cache, so links are checked in a user's folders only


class Library:
    """The places where names are looked up, for a recipe in folder `base` (None: no recipe).

    The environment and the current folder are read at each look-up; installed plugins once.
    """

    def __init__(self, base: Path | None = None) -> None:
        self.base = base

    def find(self, kind: Kind, name: str) -> Path:
        """The file of that name. Raises InputError, with the nearest name, when there is none or the name is unsafe."""
        plain = name.removeprefix(_BUILTIN).removesuffix(SUFFIX[kind])
        if not all(_COMPONENT.fullmatch(part) for part in plain.split("/")):
            rule = "letters, digits, '.', '_' and '-', parts joined by '/'"
            raise InputError(f"{name!r} cannot be the name of a {kind[:-1]}: {rule}")
        places = self._places(kind) if plain == name.removesuffix(SUFFIX[kind]) else iter([_builtin(kind)])
        for place in places:
            path = place.folder / kind / (plain + SUFFIX[kind])
            if path.is_file():
                _check_link(path, place)
                return path
        known = self.names(kind) if not name.startswith(_BUILTIN) else {_BUILTIN + n: 0 for n in _names(kind)}
        raise InputError(f"no {kind[:-1]} '{name}'{nearest(name, known)}")

    def names(self, kind: Kind) -> dict[str, Found]:
        """Every name of a kind, sorted, with its file and where it comes from."""
        found: dict[str, Found] = {}
        for place in self._places(kind):
            for name, path in _files(place, kind):
                found.setdefault(name, Found(path, place.origin))
        return dict(sorted(found.items()))

    def beside(self, name: str) -> Iterator[Path]:
        """The files of that name in the places where prompts are looked for, but the built-in one; the first wins."""
        builtin = _builtin("prompts").folder
        for place in self._places("prompts"):
            if place.folder != builtin and (place.folder / name).is_file():
                _check_link(place.folder / name, place)
                yield place.folder / name

    def _places(self, kind: Kind) -> Iterator[_Place]:
        builtin = _builtin(kind)
        places = []
        if self.base is not None:
            base = self.base.absolute()
            places.append(_Place(base, "recipe's folder"))
            if base.name == "recipes":
                places.append(_Place(base.parent, "project"))
        places.append(_Place(Path.cwd(), "current folder"))
        listed = os.environ.get("SYNTH_LLM_PATH", "").split(os.pathsep)
        places += [_Place(Path(folder).expanduser(), "SYNTH_LLM_PATH") for folder in listed if folder]
        # a built-in recipe's project, or the repository as current folder, is the built-in place itself
        yield from (place for place in places if place.folder.resolve() != builtin.folder)
        yield from self._plugins
        yield builtin

    @cached_property
    def _plugins(self) -> list[_Place]:
        return [_plugin(entry.name, entry.value) for entry in entry_points("synth_llm.content")]


def _builtin(kind: Kind) -> _Place:
    """Inside the package when installed from a wheel, beside it in a checkout."""
    return _Place(_PACKAGE if (_PACKAGE / kind).is_dir() else _PACKAGE.parent, "built-in", installed=True)


def _plugin(name: str, package: str) -> _Place:
    """Locate `package` (dotted) without importing it: its top-level package is found, the rest is a path below."""
    top, *rest = package.split(".")
    spec = importlib.util.find_spec(top) if top.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"plugin '{name}' names '{package}', which is not an installed package; reinstall the plugin")
    return _Place(Path(spec.submodule_search_locations[0], *rest), f"plugin {name}", installed=True)


def _names(kind: Kind) -> list[str]:
    return [name for name, _ in _files(_builtin(kind), kind)]


def _files(place: _Place, kind: Kind) -> Iterator[tuple[str, Path]]:
    """Names and files of one place; a file whose name could not be asked for is none of ours (`_helper.py`).

    Nor are the recipes that runs keep: who runs one in the recipes' folder has `runs` there.
    """
    root, suffix = place.folder / kind, SUFFIX[kind]
    for path in sorted(root.rglob(f"*{suffix}")):
        name = path.relative_to(root).as_posix().removesuffix(suffix)
        parts = name.split("/")
        if path.is_file() and parts[0] != "runs" and all(_COMPONENT.fullmatch(part) for part in parts):
            yield name, path


def _check_link(path: Path, place: _Place) -> None:
    if not place.installed and not path.resolve().is_relative_to(place.folder.resolve()):
        raise InputError(f"is a link that leads out of {place.folder}; copy the file there instead", path)


def file_hash(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_filter(name: str, library: Library) -> Filter:
    """Run the file of a filter and return its function `(row, column, **settings) -> Verdict`.

    Raises InputError, with the line in that file, when it cannot be run or holds no such function; MissingExtra of the
    file passes through.
    """
    path = library.find("filters", name)
    loader = SourceFileLoader(f"_synth_llm_filter_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    if spec is None:
        raise InputError("cannot be loaded", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module  # dataclasses of the file look their module up
    try:
        # not loader.exec_module: that may run the bytecode of an older text of the same size, written within a second
        exec(loader.source_to_code(path.read_bytes(), str(path)), module.__dict__)
        function = getattr(module, path.stem, None)
        if not inspect.isfunction(function):
            raise InputError(f"holds no function '{path.stem}'; a filter's function is named as its file", path)
        parameters = list(inspect.signature(function, eval_str=True).parameters)
    except SynthError:
        raise
    except (Exception, SystemExit) as error:  # the code is the user's: anything may come
        raise InputError(f"cannot be loaded: {_said(error)}", path, _line_of(error, path)) from error
    if parameters[:2] != ["row", "column"]:
        line = function.__code__.co_firstlineno
        raise InputError(f"'{path.stem}' must begin with the parameters (row, column)", path, line)
    return function


def _said(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else f"{type(error).__name__}: {error}"


def _line_of(error: BaseException, path: Path) -> int:
    """The deepest line of `path` that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == str(path)), 1)


def filter_settings(function: Filter) -> dict[str, inspect.Parameter]:
    """The settings of a filter as a recipe names them: parameter `is_` is setting `is`, as for every Python keyword."""
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    return {p.name[:-1] if keyword.iskeyword(p.name[:-1]) else p.name: p for p in parameters}


def check_settings(function: Filter, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The keyword arguments that these settings mean for a filter.

    Raises InputError that begins with `where`, for an unknown setting, a value of another type than the parameter's
    annotation (an int is a float, a bool is no int), or a setting that has no default and is not given.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    known = filter_settings(function)
    arguments: dict[str, Any] = {}
    for setting, value in settings.items():
        if setting not in known:
            raise InputError(f"{where}: no setting '{setting}'{nearest(setting, known)}")
        parameter = known[setting]
        wanted = Any if parameter.annotation is parameter.empty else parameter.annotation
        try:
            adapter = TypeAdapter(wanted, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
            arguments[parameter.name] = adapter.validate_python(value)
        except ValidationError as error:
            kind = inspect.formatannotation(wanted)
            raise InputError(f"{where}: setting '{setting}' wants {kind}, not {value!r:.80}") from error
    for setting, parameter in known.items():
        if parameter.default is parameter.empty and parameter.name not in arguments and setting != "column":
            raise InputError(f"{where}: the setting '{setting}' is missing")
    return arguments
