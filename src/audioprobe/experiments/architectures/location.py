"""Where a concept is lost inside a trained arm: `interpretability.locate` on its audio questions.

It uses fewer measurements than the study of interpretability, and the same for all arms: linear
probes (encoder, connector, layers), text states patched into the last position of late layers, and
answers without the audio in place of blocked attention, because in some arms audio has no positions
in the language model.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from audioprobe.audio.windowing import read_waveform
from audioprobe.concepts import Concepts
from audioprobe.errors import located
from audioprobe.experiments.architectures.config import Arm
from audioprobe.experiments.architectures.evaluation import ANSWERS
from audioprobe.experiments.architectures.materials import SCENES, ArmMaterials
from audioprobe.experiments.architectures.storage import (
    ArmResult,
    location_path,
    result_name,
    store_location,
)
from audioprobe.experiments.architectures.training import ArmTrainer
from audioprobe.experiments.interpretability.states import MeasurementOptions
from audioprobe.experiments.interpretability.trial_probes import (
    AT_AUDIO,
    AT_LAST,
    TEXT_AT_LAST,
    class_and_answer,
)
from audioprobe.experiments.interpretability.trials import (
    READING,
    MatchedTrial,
    StudyTrials,
    TrialRecord,
    audio_log_odds,
    log_odds,
)
from audioprobe.experiments.run_metadata import RESULTS
from audioprobe.interpretability.locate import locate
from audioprobe.interpretability.location_evidence import LocationCriteria
from audioprobe.interpretability.patching import patch
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.data_table import DataTable
from audioprobe.io.json_codec import read_json
from audioprobe.models.ltu.model import LTU
from audioprobe.probing.modality_gap import recognition_by_clip
from audioprobe.probing.wordings import PromptingOptions
from audioprobe.progress import ProgressCallback, prefixed
from audioprobe.types import Prompt

LOCATIONS, CLASS, ANSWER = "locations", "class read from the clip", "answer read from the end"
"""Names of the tables."""

STATES = "activations"
"""Folder of recorded states, which can be removed after the run."""

_EVERY = 3  # layers whose states are probed
_LATE = 2 / 3  # relative depth from which text states are patched
_CONTROLS = 5


def arms_to_locate(materials: ArmMaterials) -> list[Arm]:
    """Return the arms with audio tokens that have a result of the first seed, and no tables."""
    if not materials.config.evaluation.locate_trials:
        return []
    folder = materials.folder
    return [
        arm
        for arm in materials.config.arms
        if arm.input == "tokens"
        and (folder / RESULTS / result_name(arm, 0)).is_file()
        and not location_path(folder, arm.name).is_file()
    ]


def locate_in_arm(materials: ArmMaterials, arm: Arm) -> str:
    """Measure where a concept is lost in the first seed of an arm, and store the tables.

    A model that is missing, such as in a folder with stored results alone, is trained again.

    Returns:
        The name of the arm.
    """
    folder = ArmTrainer(materials, arm, 0).train()
    stored = materials.folder / RESULTS / result_name(arm, 0)
    with located(f"location in the arm {arm.name!r} (locate_trials = 0 leaves it out)"):
        tables = locate_loss(
            LTU.from_pretrained(folder, base=materials.recipe.base),
            read_json(ArmResult, stored, stored.name),
            materials,
            materials.folder / STATES / arm.name,
            prefixed(materials.progress, f"{arm.name}, location"),
        )
    store_location(materials.folder, arm.name, tables)
    return arm.name


def locate_loss(
    model: LTU, result: ArmResult, materials: ArmMaterials, folder: Path, progress: ProgressCallback
) -> dict[str, DataTable]:
    """Return where a concept is lost, and the curves of the probes.

    Args:
        model: model of the arm.
        result: result of the arm, whose audio questions are used.
        materials: test clips.
        folder: folder for recorded states.
        progress: called with the progress of each measurement.
    """
    n_layers = sum(site.startswith("lm.resid.") for site in model.sites)
    layers = [*range(0, n_layers - 1, _EVERY), n_layers - 1]
    options = MeasurementOptions(
        patched_sites=tuple(f"lm.resid.{n}" for n in layers),
        max_trials=materials.config.evaluation.locate_trials,
        n_controls=_CONTROLS,
        seed=result.seed,
    )
    trials = matched_trials(result, materials).sample(options.max_trials, options.seed)
    curves = class_and_answer(model, trials, replace(options, max_trials=0), folder, progress)
    at_audio = _defined(curves[AT_AUDIO])
    patched = patch(
        model,
        trials.prompts("audio"),
        trials.prompts("text"),
        trials.concepts,
        sites=[f"lm.resid.{n}" for n in layers if (n + 1) / n_layers >= _LATE],
        spans="last",
        seed=options.seed,
        progress=progress,
    ).recovered
    locations = locate(
        [at_audio, curves[AT_LAST]],
        answers=audio_log_odds(trials.record.trials),
        patch=patched.renamed(trials.ids),
        knock_out=_without_audio(model, trials),
        text=curves[TEXT_AT_LAST],
        groups=[trial.evaluation_set for trial in trials.record.trials],
        n_layers=n_layers,
        criteria=LocationCriteria(bootstrap=materials.config.bootstrap),
    )
    return {
        LOCATIONS: locations.data(),
        CLASS: at_audio.data(),
        ANSWER: curves[AT_LAST].data(),
    }


def matched_trials(result: ArmResult, materials: ArmMaterials) -> StudyTrials:
    """Return each question about a clip with the same question in text."""
    texts = {t.question.key: t for t in result.trials if t.question.condition == "text"}
    recognised = recognition_by_clip(result.trials, READING)
    trials = [
        MatchedTrial(
            text=texts[trial.question.key],
            audio=trial,
            evaluation_set=result.sets[trial.question.clip],
            familiar=result.sets[trial.question.clip] == SCENES,
            role=result.roles[str(trial.question.pair.match)],
            recognised=recognised.get(trial.question.clip),
        )
        for trial in result.trials
        if trial.question.condition == "audio" and trial.question.key in texts
    ]
    kinds = {concept.id: concept.kind for concept in Concepts.shipped()}
    record = TrialRecord(tuple(trials), {t.concept: kinds[t.concept] for t in trials})
    sounds = {
        trial.clip: partial(read_waveform, materials.clips_by_id[trial.audio.question.clip])
        for trial in trials
    }
    return StudyTrials(record, sounds, PromptingOptions(yes=ANSWERS[0], no=ANSWERS[1]))


def _without_audio(model: LTU, trials: StudyTrials) -> SiteCurve:
    """Return how the log-odds of the right answer change without the audio."""
    values = []
    for trial in trials.record.trials:
        question, before = trial.audio.question, log_odds(trial.audio)
        (answers,) = model.log_likelihood([Prompt(question.text)], ANSWERS)
        right, wrong = (answers[n].total for n in (question.correct, 1 - question.correct))
        values.append(np.nan if before is None else right - wrong - before)
    return SiteCurve(
        measure="logit difference",
        places=(Place("lm.edge.0", "audio -> last"),),
        concepts=trials.concepts,
        values=np.array(values)[:, None],
        controls={},
        items=trials.ids,
    )


def _defined(curve: SiteCurve) -> SiteCurve:
    """Return a curve without places at which the measure is undefined for all items."""
    sites = [
        place.site for n, place in enumerate(curve.places) if not np.isnan(curve.values[:, n]).all()
    ]
    return curve.at(sites=sites)
