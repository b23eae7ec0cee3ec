"""Interpretability studies that take seconds, and records with planted answers and curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests.experiments.finetuning.tiny_study import model, noises
from tests.tiny_chat_models import saved

from audioprobe.experiments.interpretability.answers import ROLES
from audioprobe.experiments.interpretability.config import InterpretabilityConfig
from audioprobe.experiments.interpretability.storage import (
    InterpretabilityRecord,
    MeasurementResult,
)
from audioprobe.experiments.interpretability.trials import (
    MatchedTrial,
    RelationRole,
    TrialRecord,
)
from audioprobe.interpretability.site_curve import Place, SiteCurve
from audioprobe.io.config import parse_config
from audioprobe.io.data_table import DataTable
from audioprobe.probing.trial import ConceptPair, Condition, ProbeQuestion, Trial
from audioprobe.types import Float64Array

SITES = {
    "ltu": ["encoder.pooled", "connector.out", "lm.resid.*"],
    "qwen2-audio": ["encoder.out", "connector.out", "lm.resid.*"],
}


def settings(folder: Path, kind: str = "ltu", **changes: object) -> dict[str, Any]:
    """Return a study of a tiny random model on noise, as tables of TOML."""
    if kind == "ltu":
        path, base = model(folder)
        spec = {"name": f"ltu:{path}", "options": {"base": str(base)}}
    else:
        spec = {"name": f"transformers:{saved(kind)}"}

    def noise(name: str, seed: int) -> dict[str, object]:
        table = noises(folder / name, 1, seed)
        return {"dataset": {"name": "manifest", "options": {"table": str(table)}}}

    return {
        "kind": "interpretability",
        "model": spec,
        "training": "mini" if kind == "ltu" else "",
        "bootstrap": {"n_resamples": 20},
        "options": {
            "sites": SITES[kind],
            "max_trials": 12,
            "n_controls": 1,
            "n_permutations": 2,
            "probe": {"n_folds": 2, "bootstrap": {"n_resamples": 20}},
        },
        "evaluation_sets": [
            {"name": "known", "familiar": True, **noise("known", 0)},
            {"name": "new", "familiar": False, **noise("new", 1)},
        ],
        **changes,
    }


def parsed(tables: Mapping[str, object]) -> InterpretabilityConfig:
    return parse_config(InterpretabilityConfig, dict(tables), "the study")


def answered(
    concept: str,
    *,
    text: bool | None = True,
    audio: bool | None = True,
    role: RelationRole = "audio_and_text",
    familiar: bool | None = False,
    recognised: bool | None = None,
    holds: bool = True,
) -> MatchedTrial:
    """Return a trial whose answers are right, wrong or invalid."""
    pair = ConceptPair(
        concept=concept,
        phrase=f"a {concept}",
        relation="hypernym",
        target="bird",
        target_phrase="a bird",
        holds=holds,
        match=ROLES.index(role),
    )

    def trial(condition: Condition, is_correct: bool | None, clip: str) -> Trial:
        correct = int(not holds)
        chosen = correct if is_correct else 1 - correct
        likelihoods = (
            (-1.0, -1.0) if is_correct is None else tuple(-1.0 * (n != chosen) for n in (0, 1))
        )
        question = ProbeQuestion(
            pair=pair,
            condition=condition,
            clip=clip,
            audio=clip,
            text=f"Is a {concept} a bird?",
            correct=correct,
        )
        return Trial(question=question, log_likelihoods=likelihoods)

    return MatchedTrial(
        text=trial("text", text, ""),
        audio=trial("audio", audio, f"{concept}.wav"),
        evaluation_set={True: "known", False: "new", None: "other"}[familiar],
        familiar=familiar,
        role=role,
        recognised=recognised,
    )


def planted(
    trials: Sequence[MatchedTrial],
    curves: Mapping[str, SiteCurve] | None = None,
    tables: Mapping[str, DataTable] | None = None,
) -> InterpretabilityRecord:
    """Return the record of a study with these trials and results."""
    config = parsed(
        {
            "kind": "interpretability",
            "model": {"name": "ltu:mini"},
            "evaluation_sets": [{"name": "known", "dataset": {"name": "recordings"}}],
            "bootstrap": {"n_resamples": 200},
        }
    )
    kinds = {trial.concept: "animal" for trial in trials}
    result = MeasurementResult(curves or {}, tables or {})
    return InterpretabilityRecord(
        config, TrialRecord(tuple(trials), kinds), {"all": result}, {}, {}
    )


def effect_curve(trials: Sequence[MatchedTrial], effects: Float64Array) -> SiteCurve:
    """Return a curve with a mean effect at each place, noise, and a control without effect."""
    rng = np.random.default_rng(0)
    noise, control = rng.normal(0, 0.05, (2, len(trials), len(effects)))
    return SiteCurve(
        measure="effect",
        places=tuple(Place(f"lm.resid.{n}", "audio") for n in range(len(effects))),
        concepts=tuple(trial.concept for trial in trials),
        values=effects + noise,
        controls={"random": control},
        items=tuple(trial.id for trial in trials),
    )
