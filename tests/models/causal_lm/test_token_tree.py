"""A tree of tokens has every sequence as a path, and shares common beginnings."""

from hypothesis import given
from hypothesis import strategies as st

from audioprobe.models.causal_lm.token_tree import TokenTree

sequences = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12)


@given(sequences)
def test_paths_spell_the_sequences_and_see_their_ancestors(rows: list[list[int]]) -> None:
    tree = TokenTree()
    paths = []
    for row in rows:
        before, expected = len(tree), tree.n_new(row)
        paths.append(tree.add(row))
        assert len(tree) - before == expected
    visible, depths = tree.visible(), tree.depths().tolist()
    for row, path in zip(rows, paths, strict=True):
        assert [tree.ids[node] for node in path] == row
        assert [depths[node] for node in path] == list(range(len(row)))
        assert visible[path[-1]].nonzero()[:, 0].tolist() == path


@given(sequences)
def test_each_beginning_is_stored_once(rows: list[list[int]]) -> None:
    tree = TokenTree()
    for row in rows:
        tree.add(row)
    beginnings = {tuple(row[:n]) for row in rows for n in range(1, len(row) + 1)}
    assert len(tree) == len(beginnings)
