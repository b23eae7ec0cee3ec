"""Scripted models pass the checks of real ones and refuse invalid scripts."""

from pathlib import Path

import pytest
from tests.scripted import sound

from audioprobe import CaptionClassifier, KeywordScorer, LikelihoodClassifier, Scripted, load
from audioprobe.errors import ContractError, InvalidInputError
from audioprobe.models.cached import CachedModel
from audioprobe.testing import check_likelihood_model
from audioprobe.types import LogLikelihood, Prompt, Response


@pytest.mark.parametrize("batch_size", [1, 3])
def test_contract_holds(batch_size: int) -> None:
    check_likelihood_model(Scripted(lambda prompt: prompt.text, batch_size=batch_size))


def test_answers_from_a_function_a_mapping_or_one_text() -> None:
    prompts = [Prompt("Who?"), Prompt("What?", sound())]
    by_function = Scripted(
        lambda prompt: "a crow" if prompt.audio else Response("?", abstained=True)
    )
    assert list(by_function.generate(prompts)) == [
        Response("?", abstained=True),
        Response("a crow"),
    ]
    by_question = Scripted({"Who?": "me", "What?": "rain"})
    assert [answer.text for answer in by_question.generate(prompts)] == ["me", "rain"]
    assert [answer.text for answer in Scripted("rain").generate(prompts)] == ["rain", "rain"]
    assert by_question.n_asked == 2


def test_likelihood_is_one_nat_per_word_by_default() -> None:
    labels = ["crow", "heavy rain"]
    assert list(Scripted("-").log_likelihood([Prompt("?")], [])) == [[]]
    result = LikelihoodClassifier(Scripted("-"), rank_by="per_token")([sound()], labels)
    assert result.scores.tolist() == [[-1.0, -1.0]]
    model = Scripted("-", likelihood=lambda _, text: LogLikelihood(-float(len(text)), 1))
    assert LikelihoodClassifier(model)([sound()], labels).scores.tolist() == [[-4.0, -10.0]]


def test_different_scripts_share_no_cached_response(tmp_path: Path) -> None:
    scripts = ("rain", "wind", {"?": "rain"}, {"?": "wind"})
    assert len({str(Scripted(script).info) for script in scripts}) == len(scripts)
    answers = [
        response.text
        for script in scripts
        for response in CachedModel(Scripted(script), tmp_path / "s").generate([Prompt("?")])
    ]
    assert answers == ["rain", "wind", "rain", "wind"]
    table = {"?": "rain"}
    model = Scripted(table)
    table["?"] = "wind"  # the model has a copy
    assert [response.text for response in model.generate([Prompt("?")])] == ["rain"]


def test_dry_run_needs_no_model() -> None:
    result = CaptionClassifier(Scripted("a crow calls"), KeywordScorer())(
        [sound()], ["crow", "rain"]
    )
    assert result.label_scores.best()[0][0][0] == "crow"
    assert result.provenance.components["model"].name == "scripted"
    assert load("language_model", "scripted:rain").info == Scripted("rain").info


def test_exceptions_are_passed_on_and_invalid_answers_refused() -> None:
    def broken(prompt: Prompt) -> str:
        raise ZeroDivisionError(prompt.text)

    with pytest.raises(ZeroDivisionError):
        list(Scripted(broken).generate([Prompt("?")]))
    with pytest.raises(ContractError, match="must return a Response, got a int"):
        list(Scripted(lambda _: 3).generate([Prompt("?")]))  # type: ignore[arg-type,return-value]
    with pytest.raises(InvalidInputError, match=r"no answer to 'Who\?', only to 'What\?'"):
        list(Scripted({"What?": "rain"}).generate([Prompt("Who?")]))
    rated = Scripted("a", likelihood=lambda *_: -1.0)  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="must return a LogLikelihood, got a float"):
        list(rated.log_likelihood([Prompt("?")], ["crow"]))
    for wrong in (3, {"What?": 3}):
        with pytest.raises(InvalidInputError, match="Expected a function, a mapping"):
            Scripted(wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="empty text"):
        Scripted(" ")
    with pytest.raises(InvalidInputError, match="batch_size"):
        Scripted("a", batch_size=0)
