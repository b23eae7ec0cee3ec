"""Stage at which the class of a concept is lost, from the stored curves of a study."""

from audioprobe.experiments.interpretability.interventions import AUDIO_BLOCKED, TEXT_PATCHED
from audioprobe.experiments.interpretability.storage import InterpretabilityRecord
from audioprobe.experiments.interpretability.trial_probes import AT_AUDIO, AT_LAST, TEXT_AT_LAST
from audioprobe.experiments.interpretability.trials import FAMILIARITY, MatchedTrial, audio_log_odds
from audioprobe.interpretability.locate import Locations, locate
from audioprobe.interpretability.location_evidence import LocationCriteria


def locations(study: InterpretabilityRecord) -> Locations | None:
    """Return where the class is lost, by familiarity; None if a curve that it needs is missing."""
    curves = study.curves
    if not {AT_AUDIO, AT_LAST} <= curves.keys():
        return None
    items = curves[AT_AUDIO].items
    by_id: dict[str, MatchedTrial] = {trial.id: trial for trial in study.trials.trials}
    patched, blocked = curves.get(TEXT_PATCHED), curves.get(AUDIO_BLOCKED)
    return locate(
        [curves[AT_AUDIO], curves[AT_LAST]],
        answers=audio_log_odds(by_id[name] for name in items),
        patch=patched if patched is not None and patched.items == items else None,
        knock_out=blocked if blocked is not None and blocked.items == items else None,
        text=curves.get(TEXT_AT_LAST),
        groups=[FAMILIARITY[by_id[name].familiar] for name in items],
        criteria=LocationCriteria(bootstrap=study.config.bootstrap),
    )
