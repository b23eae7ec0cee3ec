"""Any language model behind a store on disk: an interrupted run goes on where it was."""

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from audioprobe.errors import AudioProbeError, ContractError, InvalidInputError
from audioprobe.io.cache import ResponseCache, SQLiteCache, key_of, scope_of
from audioprobe.io.json_codec import from_json, to_json
from audioprobe.protocols import LanguageModel, training_data_of
from audioprobe.training_data import TrainingData
from audioprobe.types import ComponentInfo, Decoding, Prompt, Response

_KNOWN_AHEAD = 64  # answers held back while the inner model is busy, before it gets a pause


class CachedModel:
    """Asks the inner model only for prompts that the store lacks.

    Responses are kept by model, revision, options, decoding, texts and sounds, in an sqlite file
    that several processes may use at once, on a local disk; embeddings may be in the same file.
    Each response is written before it is given, so an interruption repeats at most what was under
    way. Failures are not kept. The cache is not part of the provenance. Whatever comes back is what
    the store holds: the first answer to a prompt counts, also where a service would answer
    differently the next time, or has changed a model under its name.

    Args:
        inner: the model.
        store: the path of a store, made with its folder if need be; or whatever keeps answers like
            one, such as the journal of a run.

    Attributes:
        n_hits: prompts that the store had, so far.
        n_misses: prompts that the inner model was asked, so far.

    Raises:
        InvalidInputError: if the file is no such store, damaged, or of a newer version; it is left
            as it is.
    """

    def __init__(self, inner: LanguageModel, store: str | Path | ResponseCache) -> None:
        self._inner = inner
        self._store: ResponseCache = SQLiteCache(store) if isinstance(store, str | Path) else store
        self._lock = threading.Lock()
        self.n_hits = 0
        self.n_misses = 0

    @property
    def info(self) -> ComponentInfo:
        """That of the inner model."""
        return self._inner.info

    @property
    def training_data(self) -> TrainingData | None:
        """That of the inner model; None where it is not known."""
        return training_data_of(self._inner)

    def generate(
        self, prompts: Iterable[Prompt], decoding: Decoding | None = None
    ) -> Iterator[Response]:
        """Answers, in order, one per prompt.

        Args:
            prompts: taken as they are needed.
            decoding: as for the inner model; None is kept apart from every other.

        Raises:
            InvalidInputError: if the store is damaged.
            ContractError: if the inner model answers more or fewer prompts than it was given.
            AudioProbeError: from the inner model; finished answers are kept.
        """
        scope = f"{scope_of(self.info)}\n{json.dumps(decoding and asdict(decoding))}"
        queue = ((key_of(scope, prompt.digest()), prompt) for prompt in prompts)
        for key, prompt in queue:
            known = self._read(key)
            if known is None:
                yield from self._ask(key, prompt, queue, decoding)
            else:
                self._count(hits=1)
                yield known

    def _ask(
        self,
        key: bytes,
        prompt: Prompt,
        queue: Iterator[tuple[bytes, Prompt]],
        decoding: Decoding | None,
    ) -> Iterator[Response]:
        """Answers from this prompt on, as long as the inner model has something to do."""
        waiting: deque[bytes] = deque()
        asked: set[bytes] = set()

        def unknown() -> Iterator[Prompt]:
            waiting.append(key)
            asked.add(key)
            yield prompt
            n_known = 0
            # Prompts that are known wait for those before them, in their place.
            while n_known < _KNOWN_AHEAD and (taken := next(queue, None)):
                waiting.append(taken[0])
                if taken[0] in asked or self._read(taken[0]) is not None:
                    n_known += 1
                    continue
                n_known = 0
                asked.add(taken[0])
                yield taken[1]

        answers = iter(self._inner.generate(unknown(), decoding))
        while True:
            failure, response = None, None
            try:
                response = next(answers, None)
            except AudioProbeError as error:
                failure = error
            yield from self._known(waiting, asked)
            if failure is not None:
                raise failure
            if response is None:
                break
            if not waiting:
                raise ContractError("The language model answered more prompts than it was given.")
            key = waiting.popleft()
            self._store.write({key: to_json(response, indent=None).encode()})
            self._count(misses=1)
            asked.discard(key)
            yield self._stored(key)
        if waiting:
            raise ContractError(
                "The language model ended before it had answered every prompt. "
                "`audioprobe.testing` checks for this."
            )

    def _known(self, waiting: deque[bytes], asked: set[bytes]) -> Iterator[Response]:
        """The answers before the next one that the inner model owes."""
        while waiting and waiting[0] not in asked:
            self._count(hits=1)
            yield self._stored(waiting.popleft())

    def _stored(self, key: bytes) -> Response:
        response = self._read(key)
        if response is None:
            raise InvalidInputError(
                f"{self._store.path}: an answer that was there is gone. Does another program "
                "change the file?"
            )
        return response

    def _read(self, key: bytes) -> Response | None:
        content = self._store.read([key]).get(key)
        if content is None:
            return None
        try:
            return from_json(Response, content.decode())
        except (InvalidInputError, UnicodeDecodeError) as error:
            raise self._store.damaged() from error

    def _count(self, *, hits: int = 0, misses: int = 0) -> None:
        with self._lock:
            self.n_hits += hits
            self.n_misses += misses

    def __getstate__(self) -> dict[str, object]:
        """Without the lock: a copy in another process counts for itself."""
        return {k: v for k, v in self.__dict__.items() if k != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore, with a lock of its own."""
        self.__dict__.update(state)
        self._lock = threading.Lock()
