"""How many tokens a text costs at an embedding service."""

import threading
from collections.abc import Callable

import tiktoken

_WAIT_S = 10.0  # tiktoken fetches its table at first use, and waits without a limit of its own


def token_counter(model: str, wait_s: float = _WAIT_S) -> tuple[Callable[[str], int], bool]:
    """A function that counts tokens, and whether it is exact.

    tiktoken counts exactly where its table is on this machine or can be fetched. Elsewhere bytes of
    UTF-8 are a safe upper bound: no token is shorter than a byte.

    Args:
        model: name at the service.
        wait_s: how long to wait for the table.
    """
    found: list[tiktoken.Encoding] = []

    def fetch() -> None:
        try:
            found.append(tiktoken.encoding_for_model(model))
        except (KeyError, OSError, ValueError):
            # Another service's model, no network, or a damaged table: the bound serves.
            return

    thread = threading.Thread(target=fetch, daemon=True, name="audioprobe-tiktoken")
    thread.start()
    thread.join(wait_s)
    if not found:
        return _n_bytes, False
    encoding = found[0]
    return lambda text: len(encoding.encode_ordinary(text)), True


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
