"""Write the questions of a probe as a folder that inspect_ai can evaluate.

The folder contains `task.py` (for `inspect eval`), the questions, and the sounds as WAV files.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audioprobe import __version__
from audioprobe.errors import InvalidInputError
from audioprobe.exchange.sounds import SoundEncoder, Sounds, encode_wav
from audioprobe.exchange.tables import public_names_of, public_questions
from audioprobe.io.atomic import atomic_write, staged_directory
from audioprobe.io.json_codec import read_json, to_json
from audioprobe.probing.trial import ProbeQuestion

TASK, QUESTIONS, SOUNDS = "task.py", "questions.json", "sounds"

_TASK = '''\
"""A concept probe of audioprobe. Run it with: inspect eval task.py --model MODEL"""

from pathlib import Path

from audioprobe.exchange.inspect_task import concept_task
from inspect_ai import Task, task


@task
def concept_probe() -> Task:
    return concept_task(Path(__file__).parent)
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectQuestions:
    """Questions for inspect_ai, and their sounds as files.

    Attributes:
        questions: the questions, in order.
        sounds: name of the file in the folder `sounds`, keyed by `ProbeQuestion.audio`.
        left_out: number of questions that are not among them, keyed by the cause.
        clipped: number of samples beyond full scale, which were clipped, keyed by the sound; other
            sounds are absent.
        seed: seed of the questions.
        version: version of audioprobe that wrote them.
    """

    questions: tuple[ProbeQuestion, ...]
    sounds: Mapping[str, str]
    left_out: Mapping[str, int] = field(default_factory=dict)
    clipped: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    version: str = __version__


def write_inspect(
    questions: Sequence[ProbeQuestion], sounds: Sounds, folder: str | Path, *, seed: int = 0
) -> InspectQuestions:
    """Write questions and their sounds as a folder with a task of inspect_ai.

    Questions about a caption of the model are left out, because their text depends on the model;
    so are questions whose sound cannot be read. Both are counted. The sounds are 16-bit WAV files,
    which all services accept. inspect_ai is not needed here.

    Args:
        questions: the questions, such as `PreparedProbe.questions`.
        sounds: functions that load the sounds, such as `PreparedProbe.sounds`.
        folder: folder to create.
        seed: seed of the questions, for the record.

    Raises:
        InvalidInputError: if the folder exists, or no question is left.
    """
    names = public_names_of(questions)
    encoder = SoundEncoder(sounds, encode_wav, names)
    left_out, clipped, files = Counter[str](), dict[str, int](), dict[str, str]()
    included: list[ProbeQuestion] = []
    with staged_directory(folder) as staged:
        (staged / SOUNDS).mkdir()
        for question, public in zip(questions, public_questions(questions), strict=True):
            if question.condition == "caption":
                left_out["the question contains a caption by the model"] += 1
                continue
            encoded = encoder(question.audio) if question.audio else None
            if question.audio and encoded is None:
                left_out[encoder.failures[question.audio]] += 1
                continue
            if encoded is not None and public.audio not in files:
                (staged / SOUNDS / encoded.name).write_bytes(encoded.content)
                files[public.audio] = encoded.name
                if encoded.n_clipped:
                    clipped[public.audio] = encoded.n_clipped
            included.append(public)
        if not included:
            raise InvalidInputError(f"Expected questions for inspect_ai, received none: {left_out}")
        content = InspectQuestions(
            questions=tuple(included),
            sounds=files,
            left_out=dict(left_out),
            clipped=clipped,
            seed=seed,
        )
        atomic_write(staged / QUESTIONS, to_json(content))
        atomic_write(staged / TASK, _TASK)
    return content


def read_inspect_questions(folder: str | Path) -> InspectQuestions:
    """Read the questions in a folder that `write_inspect` wrote.

    Raises:
        InvalidInputError: if the folder has no questions, or a sound is missing.
    """
    path = Path(folder) / QUESTIONS
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file. Write the folder with `audioprobe export`.")
    content = read_json(InspectQuestions, path, QUESTIONS)
    missing = [name for name in content.sounds.values() if not _sound(folder, name).is_file()]
    if missing:
        raise InvalidInputError(
            f"{folder}: {len(missing)} of {len(content.sounds)} sounds are missing, such as "
            f"{missing[0]!r}. Copy the whole folder."
        )
    return content


def _sound(folder: str | Path, name: str) -> Path:
    return Path(folder) / SOUNDS / Path(name).name
