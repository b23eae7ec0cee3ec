"""Prompt templates: texts with placeholders in braces, read from TOML files."""

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
        name: name, unique in its file.
        version: number that increases with every change of the text; results contain it.
        text: text with placeholders such as "{labels}"; "{{" and "}}" are literal braces.

    Raises:
        InvalidInputError: for an empty text, or placeholders that are not plain names.
    """

    name: str
    version: StrictInt
    text: str

    def __post_init__(self) -> None:
        if not self.name or not self.text.strip():
            raise InvalidInputError(
                f"Expected a prompt with name and text, got name {self.name!r} and text "
                f"{self.text!r:.40}."
            )
        invalid = [name for name in self.placeholders if not name.isidentifier()]
        if invalid:
            raise InvalidInputError(
                f"Prompt {self.name!r}: expected names of placeholders in braces, got "
                f"{invalid[0]!r}. Write {{{{ for a literal brace."
            )

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names of the placeholders, each once, in the order of the text."""
        try:
            parsed = list(Formatter().parse(self.text))
        except ValueError as error:
            raise InvalidInputError(
                f"Prompt {self.name!r}: {error}. Write {{{{ for a literal brace."
            ) from error
        for _, name, format_spec, conversion in parsed:
            if name is not None and (format_spec or conversion):
                raise InvalidInputError(
                    f"Prompt {self.name!r}: expected only a name in the placeholder {name!r}. "
                    "Remove what follows the name, such as ':>9' or '!r'."
                )
        return tuple(dict.fromkeys(name for _, name, _, _ in parsed if name is not None))

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with placeholders replaced by values; other values are ignored.

        Raises:
            InvalidInputError: if a placeholder has no value; the message suggests a similar name.
        """
        missing = [name for name in self.placeholders if name not in values]
        if missing:
            raise InvalidInputError(
                f"Prompt {self.name!r}: expected placeholders among "
                f"{', '.join(sorted(values)) or '(none)'}, got {{{missing[0]}}}, without a value."
                f"{did_you_mean(missing[0], values)}"
            )
        return self.text.format_map(values)


@dataclass(frozen=True, slots=True)
class _PromptFile:
    prompt: tuple[PromptTemplate, ...]


def read_templates(path: str | Path) -> dict[str, PromptTemplate]:
    """Return the templates in a TOML file, keyed by name.

    The file has a table `[[prompt]]` with `name`, `version` and `text` for each template.

    Raises:
        InvalidInputError: if the file cannot be read, a key is unknown or missing, there is no
            template, or a name occurs twice.
    """
    prompts = read_config(_PromptFile, path).prompt
    templates = {template.name: template for template in prompts}
    if not templates or len(templates) < len(prompts):
        names = ", ".join(template.name for template in prompts) or "none"
        raise InvalidInputError(
            f"{path}: expected at least one prompt, with distinct names, got {names}."
        )
    return templates
