"""Classification experiments: config, build, run, analysis, tables, report and outputs."""

__all__: list[str] = []
