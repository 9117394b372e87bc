"""Any metric of `synth_llm.measure` as an `evaluate.Metric`: no network, and nothing left in a cache."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synth_llm.errors import InputError, MissingExtra, nearest
from synth_llm.measure.metric import Facts, metrics

if TYPE_CHECKING:
    import evaluate


def load(name: str, **settings: Any) -> evaluate.Metric:
    """A metric by its name, such as `vendi`; `settings` are its keyword arguments, and `compute` can be given others.

    `compute(predictions=..., references=...)`: the predictions are what is measured, the references what it is measured
    against, as many or not; only `predictions` for a metric that takes one list, and one more keyword for each further
    list. Gives `{name: value}`, with `name_low` and `name_high` where it is an interval, with `name_field` where
    it has several values. Raises InputError for an unknown name or setting, MissingExtra without the package
    `evaluate`.
    """
    known = metrics()
    if name not in known:
        raise InputError(f"no metric '{name}'{nearest(name, known)}")
    try:
        import evaluate
    except ImportError as error:
        raise MissingExtra("a metric for `evaluate`", "evaluate") from error
    facts, function = known[name]
    inputs, keywords = _arguments(facts, function)
    _check(settings, keywords, name)

    class Adapted(evaluate.Metric):  # type: ignore[misc]
        def _info(self) -> evaluate.MetricInfo:
            return _info(facts, inputs, inspect.getdoc(function) or "")

        def _build_data_dir(self) -> str:
            return ""  # the rows stay in memory

        def add_batch(self, *, predictions: Any = None, references: Any = None, **more: Any) -> None:
            """Add rows; a list that is shorter than another ends before it."""
            given = {"predictions": predictions, "references": references, **more}
            lists = {one: list(values) for one, values in given.items() if values is not None and one in inputs}
            if missing := [one for one in inputs if one not in lists]:
                raise InputError(f"{name} needs {' and '.join(missing)}")
            longest = max(map(len, lists.values()))
            padded = {one: [*values, *[None] * (longest - len(values))] for one, values in lists.items()}
            super().add_batch(**{**more, **padded})

        def _compute(self, **given: Any) -> dict[str, Any]:
            lists = [[value for value in given.pop(one) if value is not None] for one in inputs]
            _check(given, keywords, name)
            return _shown(name, function(*lists, **{**settings, **given}))

    adapted = Adapted(keep_in_memory=True, seed=0)
    adapted._module_info.module_name = name
    return adapted


def _arguments(facts: Facts, function: Any) -> tuple[list[str], list[str]]:
    """The names of the lists as `evaluate` has them, in order, and the names of the settings."""
    named = list(inspect.signature(function).parameters)
    lists = len(facts.takes)
    return ["predictions", "references", *named[2:lists]][:lists], named[lists:]


def _check(settings: Mapping[str, Any], keywords: list[str], name: str) -> None:
    for one in settings:
        if one not in keywords:
            raise InputError(f"{name}: no setting '{one}'{nearest(one, keywords)}")


def _info(facts: Facts, inputs: list[str], doc: str) -> evaluate.MetricInfo:
    import evaluate
    from datasets import Features, Sequence, Value

    text, number = Value("string"), Value("float64")
    kinds = {"text": text, "label": text, "number": number, "vector": Sequence(number), "texts": Sequence(text)}
    features = {one: kinds[kind] for one, kind in zip(inputs, facts.takes, strict=True)}
    unit = f", {facts.unit}" if facts.unit else ""
    better = "" if facts.direction == "neither" else f"; {facts.direction} is better"
    return evaluate.MetricInfo(
        description=f"{doc}\n\nFrom {facts.low:g} to {facts.high:g}{unit}{better}.",
        citation=facts.source,
        inputs_description="\n".join(f"{one}: {kind}" for one, kind in zip(inputs, facts.takes, strict=True)),
        features=Features(features),
    )


def _shown(name: str, found: Any) -> dict[str, Any]:
    """A figure, an interval, or several figures by their names."""
    if isinstance(found, tuple) and hasattr(found, "_asdict"):
        found = found._asdict()
    if not isinstance(found, Mapping):
        return {name: found}
    return {name if part == "value" else f"{name}_{part}": value for part, value in found.items()}
