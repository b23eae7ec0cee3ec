"""Studies of where a concept is lost: config, questions, measurements, run, verdicts, report."""

__all__: list[str] = []
