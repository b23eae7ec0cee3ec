"""Records become the token ids and targets of LTU's training."""

import pytest
import torch
from accelerate.utils import send_to_device
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden_ltu import close, golden, next_token_loss, spectrograms, tiny_net
from tests.tiny_tuning import PROMPTS
from torch import Tensor

from audioprobe.errors import InvalidInputError
from audioprobe.models.ltu.trainable import TrainableLTU
from audioprobe.training.answer_loss import AnswerLoss, collate
from audioprobe.training.examples import (
    IGNORED,
    LossTargets,
    QARecord,
    TrainingExample,
    encode_record,
)

RECORD = QARecord(instruction="What is heard?", output="A crow.", audio_id="a")


def test_empty_question_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="a question and an answer"):
        QARecord(instruction=" ", output="yes")


def test_record_is_encoded_as_prompt_answer_and_end() -> None:
    example = encode_record(RECORD, PROMPTS)
    prompt, answer = example.ids[: example.n_prompt], example.ids[example.n_prompt :]
    assert list(prompt) == PROMPTS.tokenize(PROMPTS.prompt(RECORD.instruction))
    assert PROMPTS.tokenizer.decode(answer) == "A crow.</s>"
    # As in LTU's training, the question is a target too; the first token never is.
    assert example.labels("all") == [IGNORED, *example.ids[1:]]
    assert example.labels("answer") == [*[IGNORED] * example.n_prompt, *answer]


def test_long_record_is_cut_without_an_end() -> None:
    n_prompt = encode_record(RECORD, PROMPTS).n_prompt
    for n_answer, expected in ((3, "A c"), (len("A crow."), "A crow.")):
        example = encode_record(RECORD, PROMPTS, max_tokens=n_prompt + n_answer)
        assert PROMPTS.tokenizer.decode(example.ids[n_prompt:]) == expected
    with pytest.raises(InvalidInputError, match="no space for the answer"):
        encode_record(RECORD, PROMPTS, max_tokens=n_prompt)


def audio() -> dict[str, Tensor]:
    return {"a": spectrograms()[0], "b": spectrograms()[1]}


EXAMPLES = st.lists(
    st.builds(
        lambda ids, n, audio_id: TrainingExample((1, *ids), 1 + n % len(ids), audio_id),
        st.lists(st.integers(3, 199), min_size=2, max_size=12),
        st.integers(0, 100),
        st.sampled_from(["", "a", "b"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=8, deadline=None)
@given(EXAMPLES, st.sampled_from(["all", "answer"]))
def test_loss_of_a_batch_is_the_mean_over_its_examples(
    examples: list[TrainingExample], targets: LossTargets
) -> None:
    """Per token or per example; other examples of the batch change nothing."""
    net = tiny_net()
    model = TrainableLTU(net)
    with torch.inference_mode():
        batch = collate(examples, audio(), targets=targets, pad_id=0)
        per_token, per_example = AnswerLoss(model)(batch), AnswerLoss(model, per="example")(batch)
        means, counts = [], []
        for example in examples:
            tokens = net.prefix(audio()[example.audio_id][None]) if example.audio_id else None
            labels = torch.tensor([example.labels(targets)])
            logits = net(torch.tensor([example.ids]), tokens)
            means.append(float(next_token_loss(logits, labels)))
            counts.append(int((labels[:, 1:] != IGNORED).sum()))
    total = sum(mean * count for mean, count in zip(means, counts, strict=True))
    assert float(per_token) == pytest.approx(total / sum(counts), abs=1e-4)
    assert float(per_example) == pytest.approx(sum(means) / len(means), abs=1e-4)


def test_loss_equals_that_of_the_original_code() -> None:
    """Sample 0 of the golden batch, without the padding that shifts positions there."""
    stored = golden()
    n_text = stored["C3.logits_sample0_unpadded"].shape[1]
    ids = stored["C.input_ids"][0, -n_text:]
    example = TrainingExample(tuple(ids.tolist()), 1, "a")
    with torch.inference_mode():
        batch = collate([example], audio(), targets="all", pad_id=0)
        expected = next_token_loss(stored["C3.logits_sample0_unpadded"], ids[None])
        close(AnswerLoss(TrainableLTU(tiny_net()))(batch), expected)


def test_examples_about_one_clip_share_rows_and_the_clip_is_there_once() -> None:
    about_clip, about_text = (TrainingExample((1, 5, 6), 2, audio_id) for audio_id in ("a", ""))
    (rows,) = collate([about_clip] * 4, audio(), targets="all", pad_id=0)
    assert rows.audio is not None
    assert rows.clips is not None
    assert rows.audio.shape == (1, 1024, 128)
    assert rows.clips.tolist() == [0, 0]
    assert rows.ids.shape == (2, 6)
    (row,) = collate([about_clip] * 4, audio(), targets="all", pad_id=0, per_row=4)
    assert row.segments[0].tolist() == [n for n in range(4) for _ in range(3)]
    (text,) = collate([about_text] * 4, {}, targets="all", pad_id=0, per_row=3)
    assert text.audio is None
    assert text.ids.shape == (2, 6), "rows of equal length, without padding"


def test_all_tensors_of_a_batch_are_moved_to_a_device() -> None:
    examples = [TrainingExample((1, 5, 6), 2, "a"), TrainingExample((1, 5), 1, "")]
    batch = collate(examples, audio(), targets="all", pad_id=0)
    for rows in send_to_device(batch, torch.device("meta")):
        tensors = (rows.ids, rows.labels, rows.segments, rows.positions, rows.audio)
        assert all(tensor.is_meta for tensor in tensors if tensor is not None)
    assert [rows.audio is None for rows in send_to_device(batch, "cpu")] == [False, True]
