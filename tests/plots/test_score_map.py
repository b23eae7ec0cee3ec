"""The score map is drawn for any names and numbers."""

from pathlib import Path

import numpy as np
import pytest

from audioprobe.errors import InvalidInputError
from audioprobe.plots.canvas import off_screen, save_figure
from audioprobe.results import Caption, ClassificationResult, LabelScores, Provenance
from audioprobe.results.plotting import plot_scores


def save_score_map(result: ClassificationResult, path: Path) -> Path:
    return save_figure(plot_scores(result, off_screen), path)


PROVENANCE = Provenance(components={}, options={}, seed=0, data="", versions={}, created="now")


def result(
    clip_ids: tuple[str, ...], labels: tuple[str, ...], *, abstained: bool = False
) -> ClassificationResult:
    values = np.random.default_rng(0).uniform(-1, 1, (len(clip_ids), len(labels)))
    captions = tuple(
        Caption(clip_id=clip_id, start=0.0, text="a sound", abstained=abstained)
        for clip_id in clip_ids
    )
    truth = dict.fromkeys(clip_ids, labels[:1])
    scores = LabelScores(clip_ids, labels, values)
    return ClassificationResult(
        label_scores=scores, captions=captions, failures=(), provenance=PROVENANCE, truth=truth
    )


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_is_written_in_each_format(tmp_path: Path, suffix: str) -> None:
    path = save_score_map(result(("a", "b"), ("crow", "rain")), tmp_path / f"new/map{suffix}")
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("odd", ["$\\frac{1}$", "$$", "\x1b[31m", "Krähe", "x" * 500, "<b>&"])
def test_strange_names_are_drawn_as_they_are(tmp_path: Path, odd: str) -> None:
    save_score_map(result((odd,), (odd,)), tmp_path / "map.svg")


def test_clips_in_which_nothing_was_recognised_are_left_white(tmp_path: Path) -> None:
    pictures = [
        save_score_map(result(("a",), ("x", "y"), abstained=a), tmp_path / f"{a}.png").read_bytes()
        for a in (True, False)
    ]
    assert pictures[0] != pictures[1]


def test_another_ending_and_nothing_to_draw_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"\.png"):
        save_score_map(result(("a",), ("x",)), tmp_path / "map.bmp")
    with pytest.raises(InvalidInputError, match="nothing can be drawn"):
        save_score_map(result((), ("x",)), tmp_path / "map.png")
