"""Run a prepared probe with a model and collect its outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from audioprobe.audio.training_clips import training_clips
from audioprobe.errors import AudioReadError
from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing.answers.judging import FreeAnswer, judge_answers
from audioprobe.probing.probe_builder import (
    PLAYED_S,
    PreparedProbe,
    ProbeBuilder,
    seconds_not_played,
)
from audioprobe.probing.prompting import ProbeRunner, PromptingOptions
from audioprobe.probing.results import ProbeClip, ProbeOutcome
from audioprobe.probing.trial import Trial
from audioprobe.progress import ProgressCallback, ignore_progress
from audioprobe.protocols import LanguageModel
from audioprobe.results.provenance import Provenance, combined_digest, now, versions
from audioprobe.types import Clip, Option


def run_probe(
    model: LanguageModel,
    builder: ProbeBuilder,
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
        builder: the builder that created the probe.
        probe: questions and sounds.
        options: settings of the prompts.
        bootstrap: how confidence intervals are computed.
        judge: a model that also classifies free-text responses; None uses only the parser.
        familiar: ids of concepts whose sounds the model was trained on.
        progress: called after each response.

    Raises:
        AudioProbeError: for causes that affect all questions, such as missing weights.
    """
    runner = ProbeRunner(
        model=model,
        sounds=probe.sounds,
        options=options,
        caption_template=builder.config.wordings.caption,
        progress=progress,
    )
    trials = runner(probe.questions)
    components = {"language_model": model.info}
    if judge is not None:
        trials, runner.n_calls["judge"] = add_judgements(trials, judge, progress)
        components["judge"] = judge.info
    clips = _used_clips(probe)
    return ProbeOutcome(
        trials=trials,
        clips={clip.id: _probe_clip(concept, clip) for concept, clip in clips},
        captions={c: text for c, text in runner.captions.items() if isinstance(text, str)},
        familiar=tuple(familiar),
        unmatched=probe.unmatched,
        unassigned=probe.clips.unassigned,
        without_clips=probe.clips.without_clips,
        n_calls=runner.n_calls,
        bootstrap=bootstrap,
        provenance=Provenance(
            components=components,
            options=builder.options | _prompting(options),
            seed=builder.config.seed,
            data=_data_digest(probe, runner),
            versions=versions(),
            created=now(),
            training_clips=training_clips([clip for _, clip in clips], model),
        ),
        seconds_cut=_seconds_cut(clips, _seconds_not_played(probe), runner.seconds_ignored),
        unused_clips=probe.unused_clips(),
    )


def add_judgements(
    trials: Sequence[Trial], judge: LanguageModel, progress: ProgressCallback = ignore_progress
) -> tuple[tuple[Trial, ...], int]:
    """Return the trials with a judgement of each response, and the number of prompts to the judge.

    Equal responses to a question are judged once. Trials without a response are returned unchanged.

    Raises:
        AudioProbeError: for causes that affect all responses, such as missing weights.
    """
    answers = {
        n: FreeAnswer(trial.question.text, trial.response, trial.question.options)
        for n, trial in enumerate(trials)
        if trial.response is not None
    }
    judgements = dict(
        zip(answers, judge_answers(judge, list(answers.values()), progress), strict=True)
    )
    judged = [replace(trial, judgement=judgements.get(n)) for n, trial in enumerate(trials)]
    return tuple(judged), len(set(answers.values()))


def _used_clips(probe: PreparedProbe) -> list[tuple[str, Clip]]:
    """Return the clips with a question and their concepts, in the order of the questions."""
    clips = {c.id: (name, c) for name, group in probe.clips.by_concept.items() for c in group}
    return [clips[name] for name in dict.fromkeys(q.clip for q in probe.questions if q.clip)]


def _data_digest(probe: PreparedProbe, runner: ProbeRunner) -> str:
    return combined_digest([("questions", probe.digest()), *sorted(runner.digests.items())])


def _prompting(options: PromptingOptions) -> dict[str, Option]:
    """Return the prompting options that change the results."""
    return {
        "answers": (options.yes, options.no, options.option),
        "max_new_tokens": options.max_new_tokens,
        "played of a clip (s)": PLAYED_S,
    }


def _seconds_not_played(probe: PreparedProbe) -> dict[str, float]:
    """Return the unused seconds at the end of each clip; clips that cannot be read are left out."""
    used = {question.audio or question.clip for question in probe.questions}
    seconds = {}
    for clip in (clip for group in probe.clips.by_concept.values() for clip in group):
        if clip.id in used:
            try:
                seconds[clip.id] = seconds_not_played(clip)
            except AudioReadError:  # the questions about this clip are counted as failures
                continue
    return seconds


def _seconds_cut(
    clips: Sequence[tuple[str, Clip]], not_played: Mapping[str, float], ignored: Mapping[str, float]
) -> dict[str, float]:
    ids = [clip.id for _, clip in clips]
    seconds = {name: not_played.get(name, 0.0) + ignored.get(name, 0.0) for name in ids}
    return {name: round(value, 3) for name, value in seconds.items() if value > 0}


def _probe_clip(concept: str, clip: Clip) -> ProbeClip:
    path = "" if clip.path is None else str(clip.path.resolve())
    return ProbeClip(concept, path, clip.start, clip.duration)
