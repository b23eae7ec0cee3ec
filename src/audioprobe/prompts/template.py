"""Read prompt templates (texts with placeholders in braces) from data files, and fill them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from pydantic import StrictInt

from audioprobe.errors import InvalidInputError, did_you_mean
from audioprobe.io.config import read_config


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt with placeholders.

    Attributes:
        name: name that is unique in its file.
        version: number that increases with every change of the text; runs record the version.
        text: text in which "{labels}" is a placeholder; "{{" and "}}" stand for literal braces.

    Raises:
        InvalidInputError: for an empty text, or placeholders that are not plain names.
    """

    name: str
    version: StrictInt
    text: str

    def __post_init__(self) -> None:
        if not self.name or not self.text.strip():
            raise InvalidInputError(f"A prompt needs a name and a text; its name is {self.name!r}.")
        invalid = [name for name in self.placeholders if not name.isidentifier()]
        if invalid:
            raise InvalidInputError(
                f"Prompt {self.name!r}: expected a name in braces, got {invalid[0]!r}. Write {{{{ "
                "for a literal brace."
            )

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names of the distinct placeholders, in order."""
        try:
            parsed = list(Formatter().parse(self.text))
        except ValueError as error:
            raise InvalidInputError(
                f"Prompt {self.name!r}: {error}. Write {{{{ for a literal brace."
            ) from error
        for _, name, format_spec, conversion in parsed:
            if name is not None and (format_spec or conversion):
                raise InvalidInputError(
                    f"Prompt {self.name!r}: the placeholder {name!r} has a format specification or "
                    "conversion. Remove it."
                )
        return tuple(dict.fromkeys(name for _, name, _, _ in parsed if name is not None))

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with every placeholder replaced by its value.

        Args:
            values: value of each placeholder; values without a placeholder are ignored.

        Raises:
            InvalidInputError: if a placeholder has no value; the message suggests a similar name.
        """
        for name in self.placeholders:
            if name not in values:
                raise InvalidInputError(
                    f"Prompt {self.name!r}: no value for {{{name}}}.{did_you_mean(name, values)} "
                    f"Values were given for {', '.join(sorted(values)) or 'no placeholder'}."
                )
        return "".join(
            text + ("" if name is None else values[name])
            for text, name, _, _ in Formatter().parse(self.text)
        )


@dataclass(frozen=True, slots=True)
class _PromptFile:
    prompt: tuple[PromptTemplate, ...]


def read_templates(path: str | Path) -> dict[str, PromptTemplate]:
    """Read templates by name from a TOML file of tables `[[prompt]]` with name, version, text.

    Raises:
        InvalidInputError: if the file cannot be read, a key is unknown or missing, there is no
            prompt, or a name occurs twice.
    """
    prompts = read_config(_PromptFile, path).prompt
    templates = {template.name: template for template in prompts}
    if not templates or len(templates) < len(prompts):
        names = ", ".join(template.name for template in prompts) or "none"
        raise InvalidInputError(f"{path}: expected prompts with distinct names, got {names}.")
    return templates
