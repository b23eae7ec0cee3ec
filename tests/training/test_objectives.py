"""Sequences have LTU's targets, and batches the loss that each would have alone."""

import pytest
import torch
from accelerate.utils import send_to_device
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden_ltu import (
    character_tokenizer,
    close,
    golden,
    new_net,
    spectrograms,
    tiny_net,
)
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.audio_encoder import CavMaeConfig, CavMaeEncoder
from audioprobe.models.ltu.audio_prefix import GatedCrossAttention
from audioprobe.models.ltu.network import IGNORED, next_token_loss
from audioprobe.models.ltu.prompt import tokenize, write_prompt
from audioprobe.training.objectives import AnswerLoss, LabelBatch, LabelLoss
from audioprobe.training.records import QARecord
from audioprobe.training.sequences import TrainingExample, collate, encode
from audioprobe.training.trainable import PARTS, Part, set_trainable

TOKENIZER = character_tokenizer()
RECORD = QARecord("What is heard?", "A crow.", audio_id="a")


def test_a_record_becomes_prompt_answer_and_end() -> None:
    example = encode(RECORD, TOKENIZER)
    assert list(example.ids[: example.n_prompt]) == tokenize(
        TOKENIZER, write_prompt(RECORD.instruction)
    )
    assert TOKENIZER.decode(example.ids[example.n_prompt :]) == "A crow.</s>"
    # As in LTU's training, the question is a target too; the first token never is.
    assert example.labels("all") == [IGNORED, *example.ids[1:]]
    hidden = [IGNORED] * example.n_prompt
    assert example.labels("answer") == [*hidden, *example.ids[example.n_prompt :]]


def test_a_long_record_is_cut_without_an_end() -> None:
    n_prompt = encode(RECORD, TOKENIZER).n_prompt
    example = encode(RECORD, TOKENIZER, cutoff=n_prompt + 3)
    assert TOKENIZER.decode(example.ids[n_prompt:]) == "A c"
    exact = encode(RECORD, TOKENIZER, cutoff=n_prompt + len("A crow."))
    assert TOKENIZER.decode(exact.ids[n_prompt:]) == "A crow.", "no room for an end"
    with pytest.raises(InvalidInputError, match="leaves none"):
        encode(RECORD, TOKENIZER, cutoff=n_prompt)


def test_a_tokenizer_without_a_start_gets_one() -> None:
    class Bare:
        bos_token_id = 7

        def __call__(self, text: str) -> object:
            return type("Encoding", (), {"input_ids": [len(text)]})()

    assert tokenize(Bare(), "abc") == [7, 3]
    assert tokenize(TOKENIZER, "A")[0] == TOKENIZER.bos_token_id
    assert tokenize(TOKENIZER, "A").count(TOKENIZER.bos_token_id) == 1


def sounds() -> dict[str, Tensor]:
    return {"a": spectrograms()[0], "b": spectrograms()[1]}


examples = st.lists(
    st.builds(
        lambda ids, n, sound: TrainingExample((1, *ids), 1 + n % len(ids), sound),
        st.lists(st.integers(3, 199), min_size=2, max_size=12),
        st.integers(0, 100),
        st.sampled_from(["", "a", "b"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=15, deadline=None)
@given(examples, st.sampled_from(["all", "answer"]))
def test_a_batch_has_the_loss_of_its_examples(
    given_examples: list[TrainingExample], loss: str
) -> None:
    """By targets, or each the same; prompts of other lengths and with sound change nothing."""
    net = tiny_net()
    with torch.inference_mode():
        batch = collate(given_examples, sounds(), loss=loss, pad=0)  # type: ignore[arg-type]
        found = AnswerLoss(net)(batch)
        each = AnswerLoss(net, per="example")(batch)
        total, count, means = 0.0, 0, []
        for example in given_examples:
            heard = net.prefix(sounds()[example.audio_id][None]) if example.audio_id else None
            labels = torch.tensor([example.labels(loss)])  # type: ignore[arg-type]
            n_targets = int((labels[:, 1:] != IGNORED).sum())
            logits = net(torch.tensor([example.ids]), heard)
            means.append(float(next_token_loss(logits, labels)))
            total += means[-1] * n_targets
            count += n_targets
    assert float(found) == pytest.approx(total / count, abs=1e-4)
    assert float(each) == pytest.approx(sum(means) / len(means), abs=1e-4)


def test_the_originals_loss_is_found_on_its_own_targets() -> None:
    """Sample 0 of the golden batch, without the pads that shift positions there."""
    data = golden()
    n_text = data["C3.logits_sample0_unpadded"].shape[1]
    ids = data["C.input_ids"][0, -n_text:]
    with torch.inference_mode():
        batch = collate([TrainingExample(tuple(ids.tolist()), 1, "a")], sounds(), loss="all", pad=0)
        expected = next_token_loss(data["C3.logits_sample0_unpadded"], ids[None])
        close(AnswerLoss(tiny_net())(batch), expected)


def test_a_sound_is_encoded_once_for_all_its_questions() -> None:
    (rows,) = collate([TrainingExample((1, 5, 6), 2, "a")] * 4, sounds(), loss="all", pad=0)
    assert rows.sounds is not None
    assert rows.sounds.shape == (1, 1024, 128)
    assert rows.ids.shape == (1, 12)
    assert rows.segments[0].tolist() == [n for n in range(4) for _ in range(3)]
    (text,) = collate([TrainingExample((1, 5, 6), 2, "")] * 4, {}, loss="all", pad=0, per_row=3)
    assert text.sounds is None
    assert text.ids.shape == (2, 9)


def test_labels_of_an_encoder_can_be_learned() -> None:
    torch.manual_seed(0)
    encoder = CavMaeEncoder(CavMaeConfig(width=32, n_heads=2, n_blocks=1, mlp_width=32))
    objective = LabelLoss(encoder, 2)
    clips = torch.randn(2, 1024, 128, generator=torch.Generator().manual_seed(1))
    given_labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    before = float(objective(LabelBatch(clips, given_labels)).detach())
    for _ in range(30):
        optimizer.zero_grad()
        objective(LabelBatch(clips, given_labels)).backward()
        optimizer.step()
    assert float(objective(LabelBatch(clips, given_labels)).detach()) < before / 3
    assert (objective.logits(clips) > 0).float().equal(given_labels)


@pytest.mark.parametrize("parts", [[part] for part in PARTS] + [["encoder", "projector", "lora"]])
def test_the_parts_named_train_and_no_others(parts: list[Part]) -> None:
    net = new_net()
    if "gate" in parts:
        net.prefix.gate = GatedCrossAttention.from_texts(torch.ones(2, 64), 8, seed=0)
    trained = set_trainable(net, parts)
    names = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert len(trained) == len(names)
    places = {"prefix.encoder": "encoder", "prefix.projection": "projector", "lora_": "lora"}
    places["prefix.gate"] = "gate"
    found = {
        next((part for place, part in places.items() if place in name), "llm") for name in names
    }
    assert found == set(parts)
    for unknown in (["projection"], []):
        with pytest.raises(InvalidInputError, match="Name some of encoder"):
            set_trainable(net, unknown)  # type: ignore[arg-type]


def test_a_batch_goes_to_a_device_whole() -> None:
    """As the loop sends it there; nothing is left behind."""
    batch = collate(
        [TrainingExample((1, 5, 6), 2, "a"), TrainingExample((1, 5), 1, "")],
        sounds(),
        loss="all",
        pad=0,
    )
    for rows in send_to_device(batch, torch.device("meta")):
        parts = (rows.ids, rows.labels, rows.segments, rows.positions, rows.sounds)
        assert all(part.is_meta for part in parts if part is not None)
    assert [rows.sounds is None for rows in send_to_device(batch, "cpu")] == [False, True]
