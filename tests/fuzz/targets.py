"""All targets by name."""

from tests.fuzz import (
    answer_targets,
    audio_targets,
    checkpoint_targets,
    config_targets,
    stored_targets,
    table_targets,
)

_MODULES = (
    audio_targets, table_targets, config_targets, stored_targets, checkpoint_targets, answer_targets
)  # fmt: skip

TARGETS = {target.name: target for module in _MODULES for target in module.TARGETS}
