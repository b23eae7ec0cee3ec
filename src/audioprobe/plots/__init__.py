"""Figures with matplotlib (extra `report`), drawn on given axes or on new ones.

Every function takes a canvas: a function that returns axes for a size in inches. `off_screen` makes
axes that are only written to files; `on_screen` makes axes that notebooks and windows show.
"""

__all__: list[str] = []
