"""Names of sites and spans, and the positions of time ranges."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioprobe.errors import InvalidInputError
from audioprobe.sites import (
    PromptLayout,
    SiteHook,
    TimeAxis,
    canonical_site,
    find_sites,
    hooks_by_site,
    span_range,
)

SITES = (
    "encoder.block.0",
    "encoder.block.1",
    "encoder.out",
    "lm.embed",
    *(f"lm.{kind}.{n}" for n in range(12) for kind in ("attn", "mlp", "resid")),
    "lm.norm",
    "lm.logits",
)


@pytest.mark.parametrize(
    ("alias", "site"),
    [
        ("blocks.3.hook_resid_post", "lm.resid.3"),
        ("blocks.3.hook_resid_pre", "lm.resid.2"),
        ("blocks.0.hook_resid_pre", "lm.embed"),
        ("blocks.11.hook_attn_out", "lm.attn.11"),
        ("blocks.0.hook_mlp_out", "lm.mlp.0"),
        ("hook_embed", "lm.embed"),
        ("unembed.hook_out", "lm.logits"),
        ("layers_output[10]", "lm.resid.10"),
        ("layers_input[0]", "lm.embed"),
        ("layers_input[4]", "lm.resid.3"),
        ("mlps_output[1]", "lm.mlp.1"),
        ("audio_tower.layers.1", "encoder.block.1"),
        ("lm.resid.3", "lm.resid.3"),
    ],
)
def test_names_of_other_libraries_are_accepted(alias: str, site: str) -> None:
    assert canonical_site(alias) == site
    assert find_sites([alias], SITES) == (site,)


def test_patterns_select_sites_in_the_order_of_the_forward_pass() -> None:
    selected = find_sites(["lm.logits", "lm.resid.*", "encoder.out", "lm.resid.3"], SITES)
    assert selected == ("encoder.out", *(f"lm.resid.{n}" for n in range(12)), "lm.logits")
    assert find_sites("lm.embed", SITES) == ("lm.embed",)


def test_unknown_site_raises_with_the_nearest_name_and_all_kinds() -> None:
    with pytest.raises(InvalidInputError, match=r"Did you mean 'lm\.embed'\?") as error:
        find_sites(["lm.embedd"], SITES)
    assert "lm.resid.0 to 11" in str(error.value)
    with pytest.raises(InvalidInputError, match=r"got 'blocks\.12\.hook_resid_post'"):
        find_sites(["lm.norm", "blocks.12.hook_resid_post"], SITES)


def test_hooks_are_found_by_pattern_and_alias_but_only_one_per_site() -> None:
    hooks: dict[str, SiteHook] = {"lm.mlp.*": lambda _, x: x, "hook_embed": lambda _, __: None}
    by_site = hooks_by_site(hooks, SITES)
    assert list(by_site) == [*(f"lm.mlp.{n}" for n in range(12)), "lm.embed"]
    assert by_site["lm.embed"] is hooks["hook_embed"]
    with pytest.raises(InvalidInputError, match=r"second one for lm\.mlp\.3"):
        hooks_by_site(hooks | {"blocks.3.hook_mlp_out": lambda _, x: x}, SITES)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("question", None),
        ("audio", (0.0, math.inf)),
        ("audio[1.2s:2.0s]", (1.2, 2.0)),
        ("audio[0s:3s]", (0.0, 3.0)),
    ],
)
def test_ranges_of_spans(span: str, expected: tuple[float, float] | None) -> None:
    assert span_range(span) == expected


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ("questoin", "Did you mean 'question'?"),
        ("audio[1.2:2.0]", "Did you mean 'audio[1.2s:2.0s]'?"),
        ("audio[2s:1s]", "ends after its start"),
    ],
)
def test_unknown_span_raises(span: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        span_range(span)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0.0, math.inf, (5, 6, 7, 8)),
        (0.0, 0.32, (5,)),
        (0.32, 0.64, (6,)),
        (0.31, 0.33, (5, 6)),
        (0.96, 9.0, (8,)),
        (1.28, 9.0, ()),
    ],
)
def test_time_range_gives_the_steps_that_overlap(
    start: float, end: float, expected: tuple[int, ...]
) -> None:
    assert TimeAxis(4, 0.32, first=5).positions(start, end) == expected


def test_audio_shorter_than_a_time_step_has_no_positions() -> None:
    assert TimeAxis(0, 0.32, first=5).positions() == ()


def test_each_band_has_the_time_steps() -> None:
    assert TimeAxis(3, 0.1, n_bands=2).positions(0.1, 0.3) == (1, 2, 4, 5)


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 40), st.integers(1, 3))
def test_adjacent_ranges_on_step_limits_share_no_position(
    n_steps: int, start: int, length: int, n_bands: int
) -> None:
    axis = TimeAxis(n_steps, 0.02, n_bands=n_bands)
    end = start + length
    parts = [axis.positions(a * 0.02, b * 0.02) for a, b in ((0, start), (start, end), (end, 200))]
    assert sorted(n for part in parts for n in part) == list(range(n_steps * n_bands))


def test_span_that_does_not_exist_at_a_site_has_no_positions() -> None:
    axes = {"encoder.block": TimeAxis(4, 0.5), "lm": TimeAxis(2, 1.0, first=3)}
    layout = PromptLayout(n_tokens=9, text={"last": (8,), "bos": ()}, axes=axes, duration=1.4)
    assert layout.positions("lm.resid.0", "last") == (8,)
    assert layout.positions("lm.resid.0", "bos") == ()
    assert layout.positions("lm.norm", "audio") == (3, 4)
    assert layout.positions("encoder.block.7", "audio[0.5s:9s]") == (1, 2)
    assert layout.positions("encoder.block.7", "audio[1.4s:9s]") == ()
    assert layout.positions("encoder.block.7", "last") == ()
    assert layout.positions("encoder.pooled", "audio") == ()
