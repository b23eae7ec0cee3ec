"""How often does a listener that guesses get a diagnosis, by the number of concepts?

Every answer is a fair coin. A probe asks about a class that holds and one that does not, and about
the concept itself and another one, in text (once) and of some clips of each concept. From the
number `MIN_CONCEPTS` of `audioprobe.probing.diagnosis` on, at most 5 % of the probes are named
anything but "undecided", and a listener that is always right can be told.

Usage: python benchmarks/guessing_listener.py [N_PROBES]
"""

import sys

import numpy as np

from audioprobe.metrics.bootstrap import Bootstrap
from audioprobe.probing import diagnosis as diagnoses
from audioprobe.probing.relations.concept_set import RelationKind
from audioprobe.probing.trial import ConceptPair, ProbeQuestion, Trial

CONCEPTS = (2, 4, 6, 7, 8, 10, 13, 20)
N_CLIPS = (1, 2)


def questions_of(n_concepts: int, n_clips: int) -> list[ProbeQuestion]:
    """Return balanced questions; concepts of every other number share a class."""
    found = []
    for number in range(n_concepts):
        concept, other = f"c{number}", f"c{(number + 1) % n_concepts}"
        targets: dict[RelationKind, str] = {"hypernym": f"class {number % 2}", "identity": concept}
        for relation, target in targets.items():
            for asked_of, holds in ((concept, True), (other, False)):
                pair = ConceptPair(
                    concept=asked_of,
                    phrase=asked_of,
                    relation=relation,
                    target=target,
                    target_phrase=target,
                    holds=holds,
                    level=1,
                    match=number,
                )
                about = pair, int(not holds)
                if relation != "identity":
                    found.append(_question(*about, "", f"Is {asked_of} {target}?"))
                found += [
                    _question(*about, f"{asked_of} {clip}", f"Is it {target}?")
                    for clip in range(n_clips)
                ]
    return found


def _question(pair: ConceptPair, right: int, clip: str, text: str) -> ProbeQuestion:
    return ProbeQuestion(
        pair=pair,
        condition="audio" if clip else "text",
        clip=clip,
        audio=clip,
        text=text,
        correct=right,
    )


def share_named(n_concepts: int, n_clips: int, n_probes: int, seed: int = 0) -> float:
    """Return the share of probes of a guessing listener that get a diagnosis."""
    rng = np.random.default_rng([seed, n_concepts, n_clips])
    questions = questions_of(n_concepts, n_clips)
    n_named = 0
    for _ in range(n_probes):
        coins = rng.integers(2, size=len(questions)).tolist()
        trials = [
            Trial(question=q, response="", parsed=coin)
            for q, coin in zip(questions, coins, strict=True)
        ]
        n_named += (
            diagnoses.diagnose(trials, "free-text", Bootstrap(200)).name != diagnoses.UNDECIDED
        )
    return n_named / n_probes


def main() -> None:
    """Print the share for every number of concepts."""
    n_probes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    diagnoses.MIN_CONCEPTS = 0  # what is looked for
    for n_concepts in CONCEPTS:
        shares = [share_named(n_concepts, n_clips, n_probes) for n_clips in N_CLIPS]
        cells = ", ".join(f"{n} clips {s:.3f}" for n, s in zip(N_CLIPS, shares, strict=True))
        print(f"{n_concepts:3d} concepts: {cells}", flush=True)


if __name__ == "__main__":
    main()
