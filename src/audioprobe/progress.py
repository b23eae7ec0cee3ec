"""How a long run tells how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int, str], None]
"""Called with what is asked, how much is done, of how much, and a note on failures and money."""
