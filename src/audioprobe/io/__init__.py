"""Files: atomic writes, configurations, JSON, tables, the response cache and log, run folders."""
