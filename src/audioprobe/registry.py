"""Registry of backends by name.

A backend is a class or function that creates a component, such as an encoder. Its module is
imported only when the backend is used. Built-in backends and backends of other distributions are
registered as entry points in `pyproject.toml`:

```toml
[project.entry-points."audioprobe.encoders"]
my-encoder = "my_package.encoder:MyEncoder [extra]"
```

The extra, if any, installs the packages that the backend needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, entry_points, version
from inspect import isclass, signature
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args, get_type_hints, overload

from packaging.requirements import Requirement
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from audioprobe.errors import (
    BackendNotFoundError,
    InvalidInputError,
    MissingDependencyError,
    did_you_mean,
)

if TYPE_CHECKING:  # importing these at run time would load numpy
    from torch.nn import Module

    from audioprobe.protocols import (
        AudioEncoder,
        AudioTokenizer,
        Component,
        Dataset,
        JointEncoder,
        LanguageModel,
        Scorer,
        Tagger,
        TextEmbedder,
    )

Kind: TypeAlias = Literal[
    "encoder", "audio_tokenizer", "connector", "language_model", "embedder", "scorer", "dataset"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_WRAPPERS: dict[tuple[Kind, Kind], str] = {
    ("language_model", "encoder"): "tag-captioner",
    ("scorer", "embedder"): "embedding",
}
"""Names of backends of the first kind that make a component from any backend of the second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """Description of an installed backend; its module is not imported.

    Attributes:
        kind: kind of component that the backend creates, such as "encoder".
        name: name to pass to `load`.
        distribution: name and version of the distribution that registers the backend.
        target: module and attribute of the backend.
        missing: requirements that are not installed; () if the backend can be used.
        install: command that installs the missing requirements; "" if no requirement is missing.
    """

    kind: Kind
    name: str
    distribution: str
    target: str
    missing: tuple[str, ...]
    install: str


def available(kind: Kind | None = None) -> tuple[Backend, ...]:
    """Return descriptions of the installed backends, sorted by kind and name.

    Args:
        kind: kind of component; None lists all kinds.
    """
    kinds = KINDS if kind is None else (_checked_kind(kind),)
    backends = [_describe(k, point) for k in kinds for point in entry_points(group=_group(k))]
    return tuple(sorted(backends, key=lambda b: (KINDS.index(b.kind), b.name, b.distribution)))


@overload
def load(
    kind: Literal["encoder"], spec: "str | AudioEncoder | JointEncoder | Tagger", /, **options: Any
) -> "AudioEncoder | JointEncoder | Tagger": ...
@overload
def load(
    kind: Literal["audio_tokenizer"], spec: "str | AudioTokenizer", /, **options: Any
) -> "AudioTokenizer": ...
@overload
def load(
    kind: Literal["language_model"], spec: "str | LanguageModel", /, **options: Any
) -> "LanguageModel": ...
@overload
def load(
    kind: Literal["embedder"], spec: "str | TextEmbedder", /, **options: Any
) -> "TextEmbedder": ...
@overload
def load(kind: Literal["scorer"], spec: "str | Scorer", /, **options: Any) -> "Scorer": ...
@overload
def load(kind: Literal["dataset"], spec: "str | Dataset", /, **options: Any) -> "Dataset": ...
@overload
def load(kind: Literal["connector"], spec: "str | Module", /, **options: Any) -> "Module": ...
def load(kind: Kind, spec: "str | Component | Module", /, **options: Any) -> Any:
    """Create a component by the name of its backend.

    Args:
        kind: kind of component, such as "encoder".
        spec: name of the backend, or "name:argument" with its first argument, as in
            "ast:models/my-ast" or "tag-captioner:birdnet". A component is returned unchanged.
        options: keyword arguments of the backend.

    Raises:
        BackendNotFoundError: if no backend has this name. The message suggests a similar name.
        MissingDependencyError: if packages that the backend needs are not installed.
        InvalidInputError: if the backend does not accept these options.
    """
    if not isinstance(spec, str):
        return spec
    name, colon, argument = spec.partition(":")
    factory = factory_of(kind, name)
    label = f"The {_readable(kind)} {name!r}"
    arguments = [argument] if colon else []
    _check_options(label, factory, arguments, options)
    _check_types(label, factory, options)
    try:
        return factory(*arguments, **options)
    except TypeError as error:
        if not options:
            raise
        received = ", ".join(f"{key} = {value!r:.60}" for key, value in options.items())
        raise InvalidInputError(f"{label} cannot be built with {received}: {error}.") from error


def check_name(kind: Kind, spec: str) -> None:
    """Check that a backend exists and its packages are installed; do not import it.

    Args:
        kind: kind of component, such as "encoder".
        spec: name of the backend, or "name:argument".

    Raises:
        BackendNotFoundError: if no backend has this name.
        MissingDependencyError: if packages that the backend needs are not installed.
    """
    _usable(kind, spec.partition(":")[0])


def factory_of(kind: Kind, name: str) -> Callable[..., Any]:
    """Import a backend, and return the class or function that creates its component.

    Raises:
        BackendNotFoundError: if no backend has this name.
        MissingDependencyError: if packages that the backend needs are not installed.
    """
    return cast("Callable[..., Any]", _usable(kind, name).load())


def _usable(kind: Kind, name: str) -> EntryPoint:
    """Return the entry point of a backend whose packages are installed; otherwise raise."""
    point = _find(kind, name)
    backend = _describe(kind, point)
    if backend.missing:
        raise MissingDependencyError(
            f"The {_readable(kind)} {name!r} needs {', '.join(backend.missing)}. "
            f"Install with: {backend.install}"
        )
    return point


def _check_options(
    label: str, factory: Callable[..., Any], arguments: Sequence[str], options: Mapping[str, object]
) -> None:
    """Raise `InvalidInputError` for unknown options, or if required options are missing."""
    try:
        signature(factory).bind(*arguments, **options)
    except TypeError as error:
        names = list(signature(factory).parameters)
        unknown = [key for key in options if key not in names]
        cause = f"unknown option {unknown[0]!r}" if unknown else error
        hint = did_you_mean(unknown[0], names) if unknown else ""
        raise InvalidInputError(
            f"{label}: {cause}.{hint} Its options are {', '.join(names) or 'none'}."
        ) from error


def _check_types(label: str, factory: Callable[..., Any], options: Mapping[str, object]) -> None:
    """Raise `InvalidInputError` if the value of an option does not match its type annotation."""
    declared: Any = factory
    try:
        hints = get_type_hints(declared.__init__ if isclass(declared) else declared)
    except NameError:  # an annotation that is imported only for type checkers
        return
    for key, value in options.items():
        if key not in hints or not isinstance(value, str | int | float | list | dict):
            continue
        try:
            TypeAdapter(hints[key]).validate_python(value)
        except PydanticUserError:
            continue  # an annotation that pydantic has no schema for
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise InvalidInputError(f"{label}: invalid {key} = {value!r:.60}: {reason}.") from error


def _checked_kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise InvalidInputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    return kind


def _group(kind: Kind) -> str:
    return f"audioprobe.{kind}s"


def _readable(kind: Kind) -> str:
    return kind.replace("_", " ")


def _find(kind: Kind, name: str) -> EntryPoint:
    points = {point.name: point for point in entry_points(group=_group(_checked_kind(kind)))}
    if name in points:
        return points[name]
    hint = _hint_of_another_kind(kind, name) or did_you_mean(name, points)
    raise BackendNotFoundError(
        f"There is no {_readable(kind)} {name!r}.{hint} Installed: {', '.join(sorted(points))}."
    )


def _hint_of_another_kind(kind: Kind, name: str) -> str:
    """Return a hint for an error message if another kind has a backend `name`; otherwise ""."""
    for other in KINDS:
        if name in {point.name for point in entry_points(group=_group(other))}:
            wrapper = _WRAPPERS.get((kind, other))
            hint = f": {wrapper}:{name}" if wrapper else ""
            article = "an" if other[0] in "aeiou" else "a"
            return f" {name} is {article} {_readable(other)}{hint}."
    return ""


def _describe(kind: Kind, point: EntryPoint) -> Backend:
    distribution = point.dist  # never None for the results of entry_points()
    missing = _missing(distribution, point.extras) if distribution else ()
    install = ""
    if missing and distribution:
        install = f"pip install '{distribution.name}[{','.join(point.extras)}]'"
    return Backend(
        kind=kind,
        name=point.name,
        distribution=f"{distribution.name} {distribution.version}" if distribution else "unknown",
        target=f"{point.module}:{point.attr}",
        missing=missing,
        install=install,
    )


def _missing(distribution: Distribution, extras: list[str]) -> tuple[str, ...]:
    """Return the required packages of extras that are missing or have an unsuitable version."""
    requirements = [Requirement(text) for text in distribution.requires or ()]
    required = [
        requirement
        for requirement in requirements
        for extra in extras
        if requirement.marker
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.marker.evaluate({"extra": ""})
    ]
    return tuple(sorted({f"{r.name}{r.specifier}" for r in required if not _is_installed(r)}))


def _is_installed(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
