"""How a study of fine-tuning was made, as a table."""

from audioprobe.experiments.finetuning.config import SETS, ClipSubset, StudyConfig
from audioprobe.experiments.finetuning.study_results import StudySummary
from audioprobe.io.text_table import Table

_HOUR = 3600


def making_table(study: StudyConfig, found: StudySummary) -> Table:
    """A row per setting that the numbers depend on, and what it took."""
    model, plan = study.model, study.plan
    portions: dict[str, ClipSubset | None] = {name: getattr(study, name) for name in SETS}
    rows = [("model", f"{model.name}, over {model.base}" if model.base else model.name)]
    rows += [(f"sounds: {name}", _portion(one)) for name, one in portions.items() if one]
    rows += [
        ("texts to be kept in mind", study.texts),
        ("texts that reading is measured by", study.measured),
        ("design", study.design),
        ("seeds", ", ".join(map(str, study.seeds))),
        ("steps of a training", str(plan.steps)),
        ("sounds in a step", str(study.clips)),
        *((f"learning rate: {one.label}", f"{one.learning_rate:g}") for one in study.levels),
    ]
    if study.transfer:
        rows.append(("steps of a training of invented classes", str(study.transfer.steps)))
    rows += [
        ("trainings that ended", f"{found.n_trainings} of {found.n_wanted}"),
        ("of them failed", str(len(found.failures))),
        ("hours, one after the other", f"{found.seconds / _HOUR:.2f}"),
        (
            "intervals",
            f"{study.bootstrap.n_resamples} resamples, {study.bootstrap.level:.0%}, "
            f"seed {study.bootstrap.seed}",
        ),
    ]
    return Table(("what", "value"), tuple(rows))


def _portion(one: ClipSubset) -> str:
    options = ", ".join(f"{key} {value}" for key, value in one.dataset.options.items())
    half = "" if one.half == "all" else f", {one.half} half"
    renamed = f", labels by {one.mapping}" if one.mapping else ""
    inside = f" ({options})" if options else ""
    return f"{one.dataset.name}{inside}, split {one.split}{half}{renamed}"
