"""The check of inspectable models passes for all architectures, and detects each violation."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.golden_ltu import character_tokenizer, new_net
from tests.interpretability.tiny_answers import model
from tests.tiny_ltu import write_base, write_checkpoint_as, write_whisper
from torch import Tensor

from audioprobe.errors import ContractError
from audioprobe.forward_options import NO_OPTIONS, ForwardOptions
from audioprobe.models.ltu.model import LTU
from audioprobe.sites import InspectedPrompt, PromptLayout, SiteHook
from audioprobe.testing import check_inspectable
from audioprobe.types import ComponentInfo

FAST = ("ltu", "qwen3-omni", "phi4")
SLOW = ("qwen2-audio", "audio-flamingo", "qwen-omni", "voxtral")


@pytest.mark.parametrize(
    "kind", [*FAST, *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)]
)
def test_models_with_audio_follow_the_protocol(kind: str) -> None:
    check_inspectable(model(kind))


def test_a_text_model_follows_the_protocol() -> None:
    check_inspectable(model("llama"), with_sound=False)


@pytest.mark.slow
def test_ltuas_follows_the_protocol(tmp_path: Path) -> None:
    check_inspectable(
        LTU.from_pretrained(
            write_checkpoint_as(tmp_path / "ltuas.bin"),
            base=write_base(tmp_path / "base", with_sound=False),
            whisper=write_whisper(tmp_path / "whisper"),
        )
    )


Hooks = Mapping[str, SiteHook]


class Misordered(LTU):
    @property
    def sites(self) -> tuple[str, ...]:
        return super().sites[::-1]


class Renamed(LTU):
    @property
    def sites(self) -> tuple[str, ...]:
        return (*super().sites, "lm.last")


class TooLong(LTU):
    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        layout = super().layout(prompt)
        return replace(layout, n_tokens=layout.n_tokens + 1)


class Shifted(LTU):
    def layout(self, prompt: InspectedPrompt) -> PromptLayout:
        layout = super().layout(prompt)
        axes = {site: replace(axis, first=axis.first + 8) for site, axis in layout.axes.items()}
        return replace(layout, axes=axes)


class _OtherHooks(LTU):
    """A model that changes hooks."""

    def call(self, name: str, hook: SiteHook, number: int, states: Tensor) -> Tensor | None:
        raise NotImplementedError

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Hooks,
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        self.n_prompts = len(prompts)
        changed = {name: partial(self.call, name, hook) for name, hook in hooks.items()}
        super().run_with_hooks(prompts, changed, options)


class Disturbed(_OtherHooks):
    """Reading at a layer changes its states by a little."""

    def call(self, name: str, hook: SiteHook, number: int, states: Tensor) -> Tensor | None:
        result = hook(number, states)
        return states * (1 + 1e-6) if result is None and name == "lm.resid.0" else result


class BatchDependent(_OtherHooks):
    def call(self, name: str, hook: SiteHook, number: int, states: Tensor) -> Tensor | None:
        return hook(number, states * (1 + 0.1 * self.n_prompts))


class ReadOnly(_OtherHooks):
    """Returned states have no effect."""

    def call(self, name: str, hook: SiteHook, number: int, states: Tensor) -> Tensor | None:
        hook(number, states)
        return None


class Leaking(LTU):
    """A hook stays after an error."""

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Hooks,
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        try:
            super().run_with_hooks(prompts, hooks, options)
        except Exception:
            first = next(iter(hooks.values()))
            self._net.llama.lm_head.register_forward_hook(lambda _, __, output: first(0, output))
            raise


class Silent(LTU):
    """Errors of hooks are not raised."""

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Hooks,
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        with suppress(Exception):
            super().run_with_hooks(prompts, hooks, options)


class _OtherOptions(LTU):
    def changed(self, options: ForwardOptions) -> ForwardOptions:
        raise NotImplementedError

    def run_with_hooks(
        self,
        prompts: Sequence[InspectedPrompt],
        hooks: Hooks,
        options: ForwardOptions = NO_OPTIONS,
    ) -> None:
        super().run_with_hooks(prompts, hooks, self.changed(options))


class WithoutStart(_OtherOptions):
    def changed(self, options: ForwardOptions) -> ForwardOptions:
        return replace(options, start=None)


class LaterStart(_OtherOptions):
    def changed(self, options: ForwardOptions) -> ForwardOptions:
        start = options.start
        return options if start is None else replace(options, start=replace(start, layer=1))


class WithoutBlocking(_OtherOptions):
    def changed(self, options: ForwardOptions) -> ForwardOptions:
        return replace(options, blocked={})


class BlocksTooMuch(_OtherOptions):
    def changed(self, options: ForwardOptions) -> ForwardOptions:
        return replace(
            options,
            blocked={
                layer: [m | m.any() for m in masks] for layer, masks in options.blocked.items()
            },
        )


class WithoutNorm(LTU):
    def vocabulary_logits(self, states: Tensor, *, normalized: bool = False) -> Tensor:
        del normalized
        return super().vocabulary_logits(states, normalized=True)


class SameCopy(LTU):
    def randomized(self, seed: int) -> LTU:
        del seed
        return self


class OneSeed(LTU):
    def randomized(self, seed: int) -> LTU:
        del seed
        return super().randomized(0)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Misordered, "order of the forward pass"),
        (Renamed, "known names, got 'lm.last'"),
        (TooLong, "n_tokens positions at lm.embed"),
        (Shifted, "layout: 'audio' within"),
        (Disturbed, "equal logits with and without reading"),
        (BatchDependent, "alone and in a batch"),
        (ReadOnly, "other states have effects at lm.embed"),
        (Leaking, "hooks are removed"),
        (Silent, "raises the error of a hook"),
        (WithoutStart, "another length"),
        (LaterStart, "the same states as in the whole pass"),
        (WithoutBlocking, "changes the states of the query"),
        (BlocksTooMuch, "and no others"),
        (WithoutNorm, "vocabulary_logits"),
        (SameCopy, "another `info`"),
        (OneSeed, "different for different seeds"),
    ],
)
def test_violation_is_detected(broken: type[LTU], rule: str) -> None:
    info = ComponentInfo("language_model", "tiny")
    lm = broken(new_net(), character_tokenizer(), info)
    with pytest.raises(ContractError, match=rule):
        check_inspectable(lm, with_sound=broken is Shifted)
