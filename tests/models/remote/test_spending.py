"""What remote components spend is summed through wrappers and shown with the progress."""

from pathlib import Path

import pytest
from tests.remote import chat, embedder
from tests.remote_service import Service
from tests.scripted import sound

from audioprobe import (
    CachedEmbedder,
    CachedModel,
    CaptionClassifier,
    Cascade,
    EmbeddingScorer,
    JudgeScorer,
    Scripted,
)
from audioprobe.models.remote.multi_endpoint import MultiEndpointModel
from audioprobe.progress import ProgressEvent
from audioprobe.spending import Spending, spending_of
from audioprobe.types import Prompt

PRICES = {"usd_per_million_input_tokens": 1e6, "usd_per_million_output_tokens": 0.0}


def test_spending_is_summed_through_wrappers(service: Service, tmp_path: Path) -> None:
    first, second = chat(service, **PRICES), chat(service, **PRICES)
    vectors = embedder(service)
    list(first.generate([Prompt("one"), Prompt("two")]))
    list(second.generate([Prompt("three")]))
    vectors.embed(["a", "b"])
    usd = first.budget.usd_spent + second.budget.usd_spent
    assert usd > 0
    models = MultiEndpointModel([first, second])
    wrapped = CachedModel(Cascade(Scripted("a crow"), models), tmp_path / "cache.sqlite")
    assert spending_of(wrapped, None) == Spending(3, pytest.approx(usd))  # type: ignore[arg-type]
    scorer = EmbeddingScorer(CachedEmbedder(vectors, tmp_path / "cache.sqlite"))
    assert scorer.spending == Spending(1, 0.0)
    total = spending_of(JudgeScorer(wrapped), scorer)
    assert total is not None
    assert (total.n_requests, str(total)) == (4, f"4 requests, {usd:.2f} USD")
    assert spending_of(Scripted("a"), JudgeScorer(Scripted("1")), None) is None


def test_progress_of_a_classification_has_the_spending(service: Service) -> None:
    events: list[ProgressEvent] = []
    clips = [sound(0.1), sound(0.2)]
    classifier = CaptionClassifier(chat(service, **PRICES), "keyword")
    classifier(clips, ["crow"], progress=events.append)
    assert events[-1].note.startswith("2 requests, ")
    events.clear()
    CaptionClassifier(Scripted("a crow"), "keyword")(clips, ["crow"], progress=events.append)
    assert {event.note for event in events} == {""}
