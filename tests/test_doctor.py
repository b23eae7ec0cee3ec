"""The doctor says what is wrong and what to do, and never asks a network in tests."""

from audioprobe.doctor import examine
from audioprobe.language_models.published import PUBLISHED


def test_every_finding_that_is_a_problem_comes_with_a_mend() -> None:
    findings = examine(ask_network=False)
    assert {"machine", "accelerator", "torch", "model hub", "OPENAI_API_KEY"} <= {
        finding.subject for finding in findings
    }
    assert all(finding.mend for finding in findings if finding.state == "problem")


def test_what_published_ltus_need_is_told() -> None:
    findings = {finding.subject: finding for finding in examine(ask_network=False)}
    for ltu in PUBLISHED:
        told = findings[f"model {ltu.name}"]
        assert told.mend == ltu.needs()
        assert "fit" in told.found


def test_without_a_network_the_hub_is_a_note_and_no_crash() -> None:
    (hub,) = [finding for finding in examine() if finding.subject == "model hub"]
    assert hub.state == "note"
    assert "without it" in hub.mend
