"""Prompts as data: texts with placeholders in braces, filled strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.config import read_toml

_KEYS = ("name", "version", "text")


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with places to fill.

    Attributes:
        name: unique in its file.
        version: goes up with every change of the text, so that runs can tell.
        text: "{labels}" is a place; "{{" and "}}" are braces.

    Raises:
        InvalidInputError: for an empty text, or places that are not plain names.
    """

    name: str
    version: int
    text: str

    def __post_init__(self) -> None:
        if not self.name or not self.text.strip():
            raise InvalidInputError(f"A prompt needs a name and a text, got {self.name!r}.")
        odd = [place for place in self.places if not place.isidentifier()]
        if odd:
            raise InvalidInputError(
                f"Prompt {self.name!r}: a place is a plain name in braces, got {odd[0]!r}. Write "
                "{{ for a brace."
            )

    @property
    def places(self) -> tuple[str, ...]:
        """What is to be filled in, each once, in order."""
        try:
            parsed = list(Formatter().parse(self.text))
        except ValueError as error:
            raise InvalidInputError(
                f"Prompt {self.name!r}: {error}. Write {{{{ for a brace."
            ) from error
        odd = [f"{name}" for _, name, spec, how in parsed if name is not None and (spec or how)]
        if odd:
            raise InvalidInputError(
                f"Prompt {self.name!r}: the place {odd[0]!r} has a format: give texts alone."
            )
        return tuple(dict.fromkeys(name for _, name, _, _ in parsed if name is not None))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with every place filled; values are inserted as they are.

        Args:
            values: by place; more than there are places is no error.

        Raises:
            InvalidInputError: for a place without a value; suggests the nearest name.
        """
        for place in self.places:
            if place not in values:
                hint = did_you_mean(place, values)
                raise InvalidInputError(
                    f"Prompt {self.name!r}: nothing to put into {{{place}}}.{hint} There are "
                    f"{', '.join(sorted(values)) or 'no values'}."
                )
        return "".join(
            text + ("" if place is None else values[place])
            for text, place, _, _ in Formatter().parse(self.text)
        )


def read_templates(path: str | Path) -> dict[str, Template]:
    """The prompts of a TOML file, by name: tables `[[prompt]]` with name, version and text.

    Raises:
        InvalidInputError: if the file cannot be read, a key is unknown or missing, or a name comes
            twice; says where.
    """
    file = Path(path)
    data = read_toml(file)
    entries = data.pop("prompt", None)
    if data or not isinstance(entries, list) or not entries:
        raise InvalidInputError(f"{file}: expected nothing but tables [[prompt]], at least one.")
    found: dict[str, Template] = {}
    for number, entry in enumerate(entries, 1):
        template = _template(entry, f"{file}: prompt {number}")
        if template.name in found:
            raise InvalidInputError(f"{file}: the prompt {template.name!r} is there twice.")
        found[template.name] = template
    return found


def _template(entry: Mapping[str, object], where: str) -> Template:
    if set(entry) != set(_KEYS):
        odd = ", ".join(sorted(set(entry) ^ set(_KEYS)))
        raise InvalidInputError(f"{where}: needs the keys {', '.join(_KEYS)}; {odd} differ.")
    name, version, text = (entry[key] for key in _KEYS)
    if not isinstance(name, str) or not isinstance(text, str) or type(version) is not int:
        raise InvalidInputError(f"{where}: name and text are texts, version is a whole number.")
    try:
        return Template(name, version, text)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error
