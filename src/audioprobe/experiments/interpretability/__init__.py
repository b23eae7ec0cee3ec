"""The study of where a concept is lost: config, questions, measurements, run, mechanisms, report."""

__all__: list[str] = []
