"""The runs of a soak test: configurations, and what of their results must not change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyarrow import parquet
from tests.experiments.slow_backend import install_model
from tests.soak.server import TIMEOUT_S
from tests.tiny_ltu import write_base
from tests.tiny_tuning import tiny_checkpoint

from audioprobe.models.ltu.saving import save_ltu

_MODULE = '''
from audioprobe.models.remote.openai_chat import OpenAIChat
from audioprobe.models.remote.retry import Retry


class Impatient(OpenAIChat):
    """A chat model that waits briefly between attempts."""

    def __init__(self, **options):
        retry = Retry(attempts=8, first_wait_s=0.02)
        super().__init__("m", retry=retry, timeout_s=TIMEOUT, **options)
'''
_SET = """
[[evaluation_sets]]
name = "shipped"
dataset = { name = "recordings" }
split = "all"
"""
_CLASSIFICATION = (
    """
kind = "classification"
bootstrap = { n_resamples = 50 }
scorer = { name = "keyword" }
model = { MODEL }
"""
    + _SET
    + """
[[prompt_levels]]
prompt = "caption"
"""
)
_PROBE = (
    """
kind = "probe"
bootstrap = { n_resamples = 50 }
forms = ["yes-no"]
concepts = { only = ["crow", "bell", "rain"] }

[[models]]
name = "chat"
model = { MODEL }
conditions = ["text", "audio"]
"""
    + _SET
)
PROBE_CONCURRENCY = 4


@dataclass(frozen=True)
class Load:
    """A run that is started again and again.

    Attributes:
        name: name of the load.
        config: path of its configuration.
        concurrency: number of requests at once; 0 for a local model.
    """

    name: str
    config: Path
    concurrency: int


def write_loads(folder: Path, url: str) -> tuple[list[Load], dict[str, str]]:
    """Write configurations and a tiny model; return the loads and the environment they need."""
    environment = install_model(
        folder / "backend", "impatient", _MODULE.replace("TIMEOUT", str(TIMEOUT_S)), "Impatient"
    )
    base = write_base(folder / "base", with_sound=False)
    save_ltu(tiny_checkpoint(base), folder / "tiny", name="tiny")

    def remote(concurrency: int) -> str:
        options = f'base_url = "{url}", concurrency = {concurrency}, check_audio = false'
        return f'name = "impatient", options = {{ {options} }}'

    texts = {
        "classification": (_CLASSIFICATION, remote(1), 1),
        "probing": (_PROBE, remote(PROBE_CONCURRENCY), PROBE_CONCURRENCY),
        "local": (_CLASSIFICATION, f'name = "ltu:{folder / "tiny"}"', 0),
    }
    loads = []
    for name, (text, model, concurrency) in texts.items():
        path = folder / f"{name}.toml"
        path.write_text(text.replace("MODEL", model))
        loads.append(Load(name, path, concurrency))
    return loads, environment


def result_of(folder: Path) -> dict[str, object]:
    """Return the stored responses of a finished run by key, and its tables of results."""
    lines = (folder / "responses.jsonl").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    responses = {entry["key"]: entry["answer"] for entry in entries}
    assert len(responses) == len(entries), "a response is stored twice"
    tables = {
        path.name: parquet.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))
    }
    assert tables, f"{folder}: no results"
    return {"responses": responses, **tables}


def repetitions(log: Path) -> Mapping[str, tuple[int, list[float]]]:
    """Return, for each client in the log of the server, its requests and repeated requests.

    Requests with a fault do not count: they have to be repeated.

    Returns:
        For each client the number of different requests, and for each repetition the seconds since
        the same request was last received.
    """
    received: dict[str, dict[str, float]] = {}
    gaps: dict[str, list[float]] = {}
    for line in log.read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["fault"]:
            continue
        before = received.setdefault(entry["client"], {})
        again = gaps.setdefault(entry["client"], [])
        if entry["request"] in before:
            again.append(round(entry["s"] - before[entry["request"]], 1))
        before[entry["request"]] = entry["s"]
    return {client: (len(before), gaps[client]) for client, before in received.items()}
