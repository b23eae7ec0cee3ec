"""Count of the positions that prompts have, with and without repetition."""

from collections.abc import Hashable, Sequence

from audioprobe.models.causal_lm.token_tree import TokenTree


class Positions:
    """Counts positions as if each prompt was read once, and each beginning about a clip once."""

    def __init__(self) -> None:
        self._n_read = 0
        self._n_audio: dict[Hashable, int] = {}
        self._trees: dict[Hashable, TokenTree] = {}

    def add(
        self, clip: Hashable, length: int, ids: Sequence[int], answers: Sequence[Sequence[int]]
    ) -> None:
        """Add a prompt, and the answers that are read after it.

        Args:
            clip: what stands for the audio that prompts share.
            length: positions of the prompt, with audio.
            ids: tokens of its text.
            answers: tokens of each answer.
        """
        self._n_read += length + sum(map(len, answers))
        self._n_audio[clip] = length - len(ids)
        tree = self._trees.setdefault(clip, TokenTree())
        for answer in answers:
            tree.add([*ids, *answer])

    @property
    def limit(self) -> float:
        """The number of positions that were read, divided by that without repetition."""
        return self._n_read / (sum(self._n_audio.values()) + sum(map(len, self._trees.values())))
