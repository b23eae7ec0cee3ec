"""Backends by name, found through entry points and imported only when they are used.

Built-in backends take the same road as those of other distributions. A distribution offers one by

```toml
[project.entry-points."audioprobe.encoders"]
my-encoder = "my_package.encoder:MyEncoder [extra]"
```

where the extra, if any, names the optional dependencies that the backend needs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, entry_points, version
from inspect import Parameter, isclass, signature
from typing import Any, Literal, TypeAlias, cast, get_args, get_type_hints

from packaging.requirements import Requirement

from audioprobe.errors import (
    BackendNotFoundError,
    InvalidInputError,
    MissingDependencyError,
    did_you_mean,
)

Kind: TypeAlias = Literal["encoder", "language_model", "embedder", "scorer", "dataset"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_AROUND: dict[tuple[Kind, Kind], str] = {
    ("language_model", "encoder"): "tag-captioner",
    ("scorer", "embedder"): "embedding",
}
"""The backend of the first kind that makes one of the second do its work."""


@dataclass(frozen=True, slots=True)
class Backend:
    """An installed backend, described without importing it.

    Attributes:
        kind: which protocol it is for.
        name: what `load` takes.
        distribution: name and version of the distribution that offers it.
        target: module and attribute.
        missing: requirements that are not met, () where it can be used.
        install: the command that meets them, "" where none is needed.
    """

    kind: Kind
    name: str
    distribution: str
    target: str
    missing: tuple[str, ...]
    install: str


def available(kind: Kind | None = None) -> tuple[Backend, ...]:
    """Installed backends, sorted by kind and name; none is imported.

    Args:
        kind: only these; None lists all.
    """
    kinds = KINDS if kind is None else (_known(kind),)
    found = [_describe(k, point) for k in kinds for point in entry_points(group=_group(k))]
    return tuple(sorted(found, key=lambda b: (KINDS.index(b.kind), b.name, b.distribution)))


def load(kind: Kind, spec: str, /, **options: Any) -> Any:  # noqa: ANN401 - any component
    """Build a backend by name.

    Args:
        kind: which protocol it is for.
        spec: the name, or "name:argument", whose argument becomes the first one of the backend:
            "ast:models/my-ast", "tag-captioner:birdnet".
        options: keyword arguments of the backend.

    Raises:
        BackendNotFoundError: if no backend has this name; says which one is near.
        MissingDependencyError: if packages that it needs are not installed.
        InvalidInputError: if it does not take these options.
    """
    name, colon, argument = spec.partition(":")
    factory = factory_of(kind, name)
    what = f"The {_words(kind)} {name!r}"
    _check_options(what, factory, options, has_argument=bool(colon))
    _check_types(what, factory, options)
    try:
        return factory(argument, **options) if colon else factory(**options)
    except TypeError as error:
        if not options:
            raise
        given = ", ".join(f"{key} = {value!r:.60}" for key, value in options.items())
        raise InvalidInputError(f"{what} cannot be built with {given}: {error}.") from error


def check_name(kind: Kind, spec: str) -> None:
    """Raise what `load` would raise for a name that is wrong or cannot be used here; load nothing.

    Args:
        kind: which protocol it is for.
        spec: as for `load`.

    Raises:
        BackendNotFoundError: if no backend has this name.
        MissingDependencyError: if packages that it needs are not installed.
    """
    _usable(kind, spec.partition(":")[0])


def factory_of(kind: Kind, name: str) -> Callable[..., Any]:
    """Return what builds a backend, a class or a function; imports its module.

    Args:
        kind: which protocol it is for.
        name: without an argument.

    Raises:
        BackendNotFoundError: if no backend has this name.
        MissingDependencyError: if packages that it needs are not installed.
    """
    return cast("Callable[..., Any]", _usable(kind, name).load())


def component(kind: Kind, given: Any) -> Any:  # noqa: ANN401 - any component
    """Return a component as it was given, or the one that `load` builds if it was given by name."""
    return load(kind, given) if isinstance(given, str) else given


def _usable(kind: Kind, name: str) -> EntryPoint:
    point = _find(kind, name)
    backend = _describe(kind, point)
    if backend.missing:
        raise MissingDependencyError(
            f"The {_words(kind)} {name!r} needs {', '.join(backend.missing)}. "
            f"Install with: {backend.install}"
        )
    return point


def _check_options(
    what: str, factory: Callable[..., Any], options: Mapping[str, object], *, has_argument: bool
) -> None:
    """Raise for options that a backend does not take, and for those that it needs."""
    taken = list(signature(factory).parameters.values())
    named = [p.name for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in taken)
    for key in options:
        if key not in named and not takes_any:
            raise InvalidInputError(
                f"{what} has no option {key!r}.{did_you_mean(key, named)} "
                f"It takes {', '.join(named) or 'none'}."
            )
    by_place = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    if has_argument:
        if not any(p.kind in (*by_place, p.VAR_POSITIONAL) for p in taken):
            raise InvalidInputError(f"{what} takes no argument after its name.")
        if taken[0].name in options:
            raise InvalidInputError(f"{what}: {taken[0].name!r} is given twice.")
        taken = taken[1:]
    for p in taken:
        needed = p.default is p.empty and p.kind in (*by_place, p.KEYWORD_ONLY)
        if needed and p.name not in options:
            raise InvalidInputError(f"{what} needs the option {p.name!r}.")


def _check_types(what: str, factory: Callable[..., Any], options: Mapping[str, object]) -> None:
    """Raise for plain data, as files of TOML have it, of another type than the backend declares."""
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - slow to import
    from pydantic.errors import PydanticUserError  # noqa: PLC0415

    declared: Any = factory
    try:
        hints = get_type_hints(declared.__init__ if isclass(declared) else declared)
    except NameError:  # a type that is imported for checkers alone
        return
    for key, value in options.items():
        if key not in hints or not isinstance(value, str | int | float | list | dict):
            continue
        try:
            TypeAdapter(hints[key]).validate_python(value)
        except PydanticUserError:
            continue  # a type of objects, which files do not hold
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
            raise InvalidInputError(f"{what}: {key} = {value!r:.60} cannot be: {fault}.") from error


def _known(kind: str) -> Kind:
    if kind not in KINDS:
        raise InvalidInputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    return kind


def _group(kind: Kind) -> str:
    return f"audioprobe.{kind}s"


def _words(kind: Kind) -> str:
    return kind.replace("_", " ")


def _find(kind: Kind, name: str) -> EntryPoint:
    points = {point.name: point for point in entry_points(group=_group(_known(kind)))}
    if name in points:
        return points[name]
    hint = _of_another_kind(kind, name) or did_you_mean(name, points)
    raise BackendNotFoundError(
        f"There is no {_words(kind)} {name!r}.{hint} Installed: {', '.join(sorted(points))}."
    )


def _of_another_kind(kind: Kind, name: str) -> str:
    """A hint where the name is that of a backend of another kind; "" elsewhere."""
    for other in KINDS:
        if name in {point.name for point in entry_points(group=_group(other))}:
            around = _AROUND.get((kind, other))
            hint = f": {around}:{name}" if around else ""
            article = "an" if other[0] in "aeiou" else "a"
            return f" {name} is {article} {_words(other)}{hint}."
    return ""


def _describe(kind: Kind, point: EntryPoint) -> Backend:
    # Entry points from entry_points() know their distribution; only hand-made ones do not.
    distribution = point.dist
    label = f"{distribution.name} {distribution.version}" if distribution else "unknown"
    missing = _missing(distribution, point.extras) if distribution else ()
    install = ""
    if missing and distribution:
        install = f"pip install '{distribution.name}[{','.join(point.extras)}]'"
    return Backend(kind, point.name, label, f"{point.module}:{point.attr}", missing, install)


def _missing(distribution: Distribution, extras: list[str]) -> tuple[str, ...]:
    """Requirements of the extras that are not installed in a fitting version."""
    requirements = [Requirement(text) for text in distribution.requires or ()]
    wanted = [
        requirement
        for requirement in requirements
        for extra in extras
        if requirement.marker
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
    ]
    return tuple(sorted({f"{r.name}{r.specifier}" for r in wanted if not _is_met(r)}))


def _is_met(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
