"""Facts and main results of a fine-tuning study, for the top and the end of its report."""

from collections import Counter
from collections.abc import Iterator

from audioprobe.experiments.finetuning.analysis import StudySummary
from audioprobe.experiments.finetuning.conclusions import NO_DATA, conclusions_table
from audioprobe.experiments.finetuning.design import strategy_name
from audioprobe.experiments.finetuning.storage import StudyRecord
from audioprobe.experiments.finetuning.tables import (
    change_text,
    progress_text,
    settings_table,
)
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.reports.provenance import (
    command_text,
    component_rows,
    component_text,
    created_text,
    option_text,
    start_rows,
)
from audioprobe.types import ComponentInfo

_MOST = 5  # maximum number of findings


def study_findings(summary: StudySummary) -> list[str]:
    """Return up to five sentences: largest gain, first conclusions with data, and progress."""
    answers = [answer for _, answer in conclusions_table(summary).rows if answer != NO_DATA]
    return [*[*_largest_gain(summary), *answers][: _MOST - 1], progress_text(summary)]


def study_facts(summary: StudySummary) -> list[tuple[str, str]]:
    """Return the facts of the page: questions, model, data, date and command."""
    record = summary.record
    counts = Counter(each.measure for each in record.before.measurements)
    n_clips = ", ".join(
        f"{counts[measure]} {measure.removesuffix(' AUC')} clips"
        for measure in record.before.labels
    )
    n_questions = counts["text accuracy"] + counts["audio accuracy"]
    model = model_info(record)
    starts = [str(start["time"]) for start in record.manifest.get("starts", ())]
    return [
        (
            "Asked",
            f"What do {len(summary.strategies)} strategies of fine-tuning change, with "
            f"{len(record.study.seeds)} seeds each: captions, answers in text and about audio, and "
            "the loss on text?",
        ),
        ("Model", component_text(model) if model else record.study.model.name),
        (
            "Data",
            f"evaluated on {n_clips}, {n_questions} yes/no questions and {counts['text loss']} "
            f"text passages; trained on {record.study.train.dataset.name}",
        ),
        ("Date", created_text(starts)),
        ("Command", command_text()),
    ]


def study_provenance(summary: StudySummary) -> Iterator[tuple[str, str]]:
    """Yield everything that the results depend on, as (name, value)."""
    record = summary.record
    yield from ((name, value) for name, value in settings_table(summary).rows)
    model = model_info(record)
    if model:
        yield from component_rows("language model", model)
    pinned = record.manifest.get("pinned", {})
    for name, content in pinned.get("data", {}).items():
        yield from component_rows(f"data, {name.replace('_', ' ')}", _component(content))
    for name in ("clips", "texts", "questions", "novel_class_questions"):
        if name in pinned:
            yield f"{name.replace('_', ' ')} (digest)", option_text(pinned[name])
    yield from start_rows(record.manifest.get("starts", ()))


def model_info(record: StudyRecord) -> ComponentInfo | None:
    """Return the identity of the model before fine-tuning; None if the manifest has none."""
    content = record.manifest.get("pinned", {}).get("model")
    return None if content is None else _component(content)


def _component(content: object) -> ComponentInfo:
    return from_json(ComponentInfo, to_json(content))


def _largest_gain(summary: StudySummary) -> list[str]:
    """Return a sentence on the strategy with the largest change of in-domain AUC."""
    changes = {
        strategy: (change["in-domain AUC"], change.get("text loss"))
        for strategy, change in summary.changes.items()
        if "in-domain AUC" in change and change["in-domain AUC"].estimate.value is not None
    }
    if not changes:
        return []
    best = max(changes, key=lambda strategy: changes[strategy][0].estimate.value or 0.0)
    gain, loss = changes[best]
    also = ""
    if loss is not None and loss.estimate.value is not None:
        also = f"; its change of text loss is {change_text(loss)} nats per token"
    before = summary.before.get("in-domain AUC")
    return [
        f"The strategy “{strategy_name(best)}” has the largest change of in-domain captioning AUC: "
        f"{change_text(gain)}, from {before} before{also}."
    ]
