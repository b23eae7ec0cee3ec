"""A prepared questionnaire, asked of a model."""

from collections.abc import Iterable, Mapping

from audioprobe.audio.training_clips import training_clips
from audioprobe.errors import AudioReadError
from audioprobe.inference.stream import PromptFailure
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.judged import with_judgements
from audioprobe.probing.prepared import PLAYED_S, PreparedProbe, seconds_unplayed
from audioprobe.probing.probe_builder import ProbeBuilder
from audioprobe.probing.prompting import ProbeRunner, PromptingOptions
from audioprobe.probing.results import Place, ProbeOutcome
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel
from audioprobe.results.provenance import Provenance, digest_of_sounds, now, versions
from audioprobe.types import Clip, Option


def run_probe(
    model: LanguageModel,
    questionnaire: ProbeBuilder,
    asked: PreparedProbe,
    manners: PromptingOptions,
    bootstrap: Bootstrap,
    *,
    judge: LanguageModel | None = None,
    familiar: Iterable[str] = (),
    progress: ProgressCallback = ignore_progress,
) -> ProbeOutcome:
    """Ask everything.

    Args:
        model: who is asked.
        questionnaire: where the questions come from.
        asked: what it gave.
        manners: how the model is asked.
        bootstrap: how intervals are computed.
        judge: a model that reads the free answers too; None leaves them to the rules.
        familiar: ids of concepts that the model learned from such sound.
        progress: called with the progress of each stage.

    Raises:
        AudioProbeError: for what no single question is the cause of, such as missing weights.
    """
    plan = questionnaire.plan
    unplayed = _unplayed(asked)
    asker = ProbeRunner(model, asked.sounds, manners, plan.wordings.caption, progress)
    trials = asker(asked.questions)
    n_calls = asker.n_calls
    components = {"language_model": model.info}
    if judge is not None:
        trials, n_calls["judge"] = with_judgements(trials, judge, progress)
        components["judge"] = judge.info
    played = {c.id: (name, c) for name, own in asked.clips.by_concept.items() for c in own}
    used = dict.fromkeys(q.clip for q in asked.questions if q.clip)
    return ProbeOutcome(
        trials,
        {clip: _place(*played[clip]) for clip in used},
        {
            clip: text
            for clip, text in asker.captions.items()
            if not isinstance(text, PromptFailure)
        },
        tuple(familiar),
        asked.unmatched,
        asked.clips.unsorted,
        asked.clips.silent,
        n_calls,
        bootstrap,
        Provenance(
            components,
            questionnaire.options | _options(manners),
            plan.seed,
            digest_of_sounds([("questions", asked.digest()), *sorted(asker.digests.items())]),
            versions(),
            now(),
            training_clips([played[clip][1] for clip in used], model),
        ),
        _cut(unplayed, asker.unheard, used),
        asked.unasked(),
    )


def _options(manners: PromptingOptions) -> dict[str, Option]:
    return {
        "answers": (manners.yes, manners.no, manners.option),
        "max_new_tokens": manners.max_new_tokens,
        "played of a clip (s)": PLAYED_S,
    }


def _unplayed(asked: PreparedProbe) -> dict[str, float]:
    """Seconds of clips that are behind what is played of them."""
    heard = {question.sound or question.clip for question in asked.questions}
    found = {}
    for clip in (clip for own in asked.clips.by_concept.values() for clip in own):
        if clip.id in heard:
            try:
                found[clip.id] = seconds_unplayed(clip)
            except AudioReadError:  # every question about it fails, and is counted
                continue
    return found


def _cut(
    unplayed: Mapping[str, float], unheard: Mapping[str, float], used: Iterable[str]
) -> dict[str, float]:
    """Seconds of each clip that were not heard; clips that were heard whole are left out."""
    seconds = {clip: unplayed.get(clip, 0.0) + unheard.get(clip, 0.0) for clip in used}
    return {clip: round(cut, 3) for clip, cut in seconds.items() if cut > 0}


def _place(concept: str, clip: Clip) -> Place:
    path = "" if clip.path is None else str(clip.path.resolve())
    return Place(concept, path, clip.start, clip.duration)
