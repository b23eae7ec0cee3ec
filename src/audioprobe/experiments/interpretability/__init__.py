"""Studies of where a concept is lost: config, questions, measurements, run, conclusions, report."""

__all__: list[str] = []
