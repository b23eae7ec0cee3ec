"""F1 of one score matrix under three threshold policies; the oracle is an upper bound.

Run: python examples/threshold_policies.py tests/data/edansa_baseline/scores.npz
"""

import sys

import numpy as np

from audioprobe.io.text_table import Table
from audioprobe.metrics import FixedThreshold, OracleThreshold, TunedThreshold
from audioprobe.results.evaluation import Evaluation, evaluate


def main(path: str) -> None:
    """Print F1 of each label under each policy, and the macro means."""
    with np.load(path, allow_pickle=False) as data:
        labels = tuple(data["labels"].tolist())
        valid, test = data["valid_thousandths"] / 1000, data["test_thousandths"] / 1000
        valid_truth, test_truth = data["valid_targets"], data["test_targets"]
    policies = (
        FixedThreshold(0.0),  # of logits: a probability of 0.5
        TunedThreshold.fit(valid_truth, valid, on="valid"),
        OracleThreshold(),
    )
    evaluations: list[Evaluation] = [
        evaluate(test, test_truth, labels, threshold=policy) for policy in policies
    ]
    rows = [
        (label, *(f"{each.labels[n].f1:.3f}" for each in evaluations))
        for n, label in enumerate(labels)
    ]
    rows.append(("macro mean", *(f"{each.f1.value:.3f}" for each in evaluations)))
    header = ("label", *(f"F1, {policy.name}" for policy in policies))
    sys.stdout.write(Table(header, tuple(rows), (1, 2, 3)).to_markdown())


if __name__ == "__main__":
    main(sys.argv[1])
