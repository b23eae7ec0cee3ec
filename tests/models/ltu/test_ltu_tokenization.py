"""Token ids of texts equal those of the authors' code, with the tokenizer files of a base."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.golden_ltu import FOLDER
from tests.llama_tokenizer import write_tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from audioprobe.models.ltu.trainable import LTUPrompts
from audioprobe.training.answer_loss import PADDING, collate
from audioprobe.training.examples import IGNORED, QARecord, encode_record

DATA = FOLDER.parent / "ltu_tokenization"
GOLDEN = json.loads((DATA / "tokenization.json").read_text())


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    folder: Path = write_tokenizer(tmp_path_factory.mktemp("vicuna"))
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.mark.parametrize("example", GOLDEN["prompts"], ids=lambda e: e["instruction"][-30:])
def test_prompt_ids_equal_the_original(
    tokenizer: PreTrainedTokenizerBase, example: dict[str, Any]
) -> None:
    prompts = LTUPrompts(tokenizer)
    prompt = prompts.prompt(example["instruction"], example.get("input", ""))
    assert prompt == example["prompt"]
    assert prompts.tokenize(prompt) == example["input_ids"]


@pytest.mark.parametrize("example", GOLDEN["prompts"], ids=lambda e: e["instruction"][-30:])
def test_text_with_start_has_the_ids_of_the_prompt(
    tokenizer: PreTrainedTokenizerBase, example: dict[str, Any], tmp_path: Path
) -> None:
    """A server reads the saved tokenizer, and adds no special tokens."""
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    saved = AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    written = LTUPrompts(tokenizer).text_with_start(example["prompt"])
    assert saved(written, add_special_tokens=False).input_ids == example["input_ids"]


def test_continuation_ids_equal_those_of_training(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """An answer that is tokenised alone begins with a space, which no answer in training had."""
    example = GOLDEN["train_examples"][0]
    answer, ids = example["example"]["output"], example["input_ids"]
    expected = ids[ids.index(13291) + 3 : -1]  # after "Response", ":" and the line break
    assert LTUPrompts(tokenizer).continuation_ids(answer) == expected
    assert tokenizer(answer, add_special_tokens=False).input_ids != expected


def test_decoded_ids_are_the_response(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = GOLDEN["decode"]["ids_with_eos"]
    new = ids[len(GOLDEN["prompts"][0]["input_ids"]) :]
    text = tokenizer.decode(new, skip_special_tokens=True)
    assert text.strip() == "Audio caption: Dogs bark."
    assert GOLDEN["decode"]["decoded_with_eos"].endswith(f"{text.strip()}</s>")


def test_missing_beginning_of_sequence_is_added(tokenizer: PreTrainedTokenizerBase) -> None:
    class Bare:
        bos_token_id = 7

        def __call__(self, text: str) -> object:
            return type("Encoding", (), {"input_ids": [len(text)]})()

    assert LTUPrompts(Bare()).tokenize("abc") == [7, 3]
    assert LTUPrompts(tokenizer).tokenize("A").count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("example", GOLDEN["train_examples"], ids=lambda e: str(e)[:60])
def test_ids_and_targets_of_training_examples_equal_the_original(
    tokenizer: PreTrainedTokenizerBase, example: dict[str, Any]
) -> None:
    """The first token is a target in the original only, where the loss ignores it."""
    given = {name: example["example"][name] for name in ("instruction", "input", "output")}
    encoded = encode_record(
        QARecord(**given), LTUPrompts(tokenizer), max_tokens=example["cutoff_len"]
    )
    assert list(encoded.ids) == example["input_ids"]
    labels = encoded.labels("all" if example["train_on_inputs"] else "answer")
    assert labels[1:] == example["labels"][1:]


def test_ids_and_targets_of_a_batch_equal_the_original(tokenizer: PreTrainedTokenizerBase) -> None:
    """The original pads on the left to a multiple of eight; `collate` pads on the right."""
    original = load_file(DATA / "collated_batch.safetensors")
    texts = [e["example"] for e in GOLDEN["train_examples"][:3]]
    records = [
        QARecord(instruction=e["instruction"], output=e["output"], input=e["input"]) for e in texts
    ]
    prompts = LTUPrompts(tokenizer)
    (batch,) = collate(
        [encode_record(record, prompts) for record in records],
        {},
        targets="all",
        pad_id=0,
        per_row=1,
    )
    n_sound = original["attention_mask"].shape[1] - original["input_ids"].shape[1]
    for row, length in enumerate((batch.segments != PADDING).sum(1).tolist()):
        assert int(original["attention_mask"][row, n_sound:].sum()) == length
        expected = {name: original[name][row, -length:] for name in ("input_ids", "labels")}
        assert torch.equal(batch.ids[row, :length], expected["input_ids"])
        assert torch.equal(batch.labels[row, 1:length], expected["labels"][1:])
        assert (original["labels"][row, :-length] == IGNORED).all()
        assert (batch.labels[row, length:] == IGNORED).all()
