"""Where a result comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from audioprobe.types import ComponentInfo, Option


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a result comes from.

    Attributes:
        components: what took part, by role.
        options: settings of the study itself (prompt, reading policy, decoding).
        seed: for whatever samples.
        data: SHA-256 over the sounds that were read, in order of the clips.
        versions: of Python and of the libraries that can move a number.
        created: UTC, ISO 8601.
    """

    components: Mapping[str, ComponentInfo]
    options: Mapping[str, Option]
    seed: int
    data: str
    versions: Mapping[str, str]
    created: str = field(compare=False)
