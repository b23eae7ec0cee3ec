"""Ask a model the questions of a probe, and return the outcome."""

from collections.abc import Iterable
from dataclasses import asdict

from audioprobe.audio.training_clips import training_clips
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.answers import judge_trials
from audioprobe.probing.clips import ProbeClip, seconds_cut
from audioprobe.probing.prepared_probe import PreparedProbe
from audioprobe.probing.question_asker import QuestionAsker
from audioprobe.probing.results import ProbeOutcome
from audioprobe.probing.wordings import PromptingOptions
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel
from audioprobe.results.provenance import Provenance, combined_digest, now, versions
from audioprobe.spending import with_spending
from audioprobe.types import Clip, Option


def run_probe(
    model: LanguageModel,
    probe: PreparedProbe,
    options: PromptingOptions,
    bootstrap: Bootstrap,
    *,
    judge: LanguageModel | None = None,
    familiar: Iterable[str] = (),
    progress: ProgressCallback = ignore_progress,
) -> ProbeOutcome:
    """Ask a model all questions of a probe.

    Args:
        model: the model.
        probe: questions and their sounds.
        options: settings of the prompts.
        bootstrap: how confidence intervals are computed.
        judge: a model that also classifies free-text responses; None uses only the parser.
        familiar: ids of concepts whose sounds the model was trained on.
        progress: called after each response.

    Raises:
        ContractError: if the number of the model's answers differs from that of the prompts.
        AudioProbeError: for causes that affect all questions, such as missing weights.
    """
    progress = with_spending(progress, model, judge)
    asker = QuestionAsker(model=model, probe=probe, options=options, progress=progress)
    trials = asker.trials()
    components = {"language_model": model.info}
    if judge is not None:
        trials, asker.n_calls["judge"] = judge_trials(judge, trials, progress)
        components["judge"] = judge.info
    used = probe.used_clips()
    clips = [clip for _, clip in used]
    played = {q.clip if q.condition == "window" else q.audio or q.clip for q in probe.questions}
    return ProbeOutcome(
        trials=trials,
        clips={clip.id: _probe_clip(concept, clip) for concept, clip in used},
        captions={c: text for c, text in asker.captions.items() if isinstance(text, str)},
        familiar=tuple(familiar),
        unmatched=probe.unmatched,
        unassigned=probe.clips.unassigned,
        without_clips=probe.clips.without_clips,
        n_calls=asker.n_calls,
        bootstrap=bootstrap,
        provenance=Provenance(
            components=components,
            options={**probe.options, **_options(options)},
            seed=probe.seed,
            data=combined_digest([("questions", probe.digest()), *sorted(asker.digests.items())]),
            versions=versions(),
            created=now(),
            training_clips=training_clips(clips, model),
        ),
        seconds_cut=seconds_cut(clips, played, asker.seconds_ignored, probe.windowing),
        unused_clips=probe.unused_clips(),
    )


def _options(options: PromptingOptions) -> dict[str, Option]:
    """Return those settings of the prompts on which results depend, for the provenance."""
    recorded: dict[str, Option] = {
        "answers": (options.yes, options.no, options.option),
        "max_new_tokens": options.max_new_tokens,
    }
    if options.samples:
        sampling = asdict(options.sampling)
        del sampling["max_new_tokens"]  # recorded above
        recorded |= {"samples": options.samples}
        recorded |= {f"sampling, {name}": value for name, value in sampling.items()}
    return recorded


def _probe_clip(concept: str, clip: Clip) -> ProbeClip:
    path = "" if clip.path is None else str(clip.path.resolve())
    return ProbeClip(concept, path, clip.start, clip.duration)
