"""Classification experiments: config, build, run, analysis, tables and report."""
