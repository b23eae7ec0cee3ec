"""Data set of labelled recordings in Debian packages, and the download of these packages."""

from audioprobe.datasets.debian.dataset import DebianSounds
from audioprobe.datasets.debian.fetch import FetchState, fetch_packages, fetch_report
from audioprobe.datasets.debian.renderings import NOT_RENDERED, render_packages
from audioprobe.datasets.debian.tables import (
    DebianPackage,
    DebianRecording,
    default_folder,
    fetch_command,
    packages,
    recordings,
    summary_text,
    training_counts,
)

__all__ = [
    "NOT_RENDERED",
    "DebianPackage",
    "DebianRecording",
    "DebianSounds",
    "FetchState",
    "default_folder",
    "fetch_command",
    "fetch_packages",
    "fetch_report",
    "packages",
    "recordings",
    "render_packages",
    "summary_text",
    "training_counts",
]
