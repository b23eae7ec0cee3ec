"""Atomic files, configurations, JSON, tables, caches and run folders."""
