"""Parse free-text answers to multiple-choice questions."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from audioprobe.probing.answers import clauses
from audioprobe.probing.answers.text import (
    final_answer,
    is_question,
    normalize,
    split_sentences,
)

_FIRST_MARK = 0xE000  # character that replaces the name of the first option in a text
_MAX_OPTIONS = 6400
_ARTICLE = re.compile(
    r"^(?:an?|the|eine?|der|die|das|une?|le|la|les|un[ao]?|el|los|las|uma?|o|il|lo)\s+|^l'"
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_HANGUL_END = r"(?:입니다|이에요|예요|이다|가|이|는|은|를|을|의|소리|요)"
_CALLED = (
    r"(?:option|choice|letter|answer|antwort|réponse|respuesta|opción|opção|resposta|risposta"
    r"|opzione|opcja|odpowiedź|вариант|ответ|number|选项|選項|選択肢)"
)
_BEFORE = (
    r"it is|it's|the|that is|i(?: would|'d)? (?:choose|pick|select|go with)|正解は"
    r"|(?:my|the) (?:\w+ )?(?:choice|option|letter|pick) is"
)
_LETTER = re.compile(
    rf"(?:(?:{_BEFORE})\s*)?(?:{_CALLED}\s*)?([a-z])"
    r"(?: [\ue000-\uf8ff])?(?:です|だ|입니다)?"
)
_BRACKETED_AFTER_NOT = re.compile(
    r"((?:(?<!\w)(?:not|never|no|nicht|pas|non|não|nie|не)|n't) )[(\[]([a-z])[)\]]"
)
_JOIN = re.compile(r"(?<!\w)(?:and|or|und|oder|et|ou)(?!\w)")
_LETTER_WHY = re.compile(
    r"([a-z]) (?:is (?:the )?(?:correct|right|best|true)(?: (?:answer|option|choice|one))?$"
    r"|because|since|as|weil|parce que|porque|perché)(?!\w)"
)
_CALLED_LETTER = re.compile(rf"(?<!\w){_CALLED} ?[(\[]?([a-z]|\d{{1,2}})[)\]]?(?![\w'])")
_ORDINAL = re.compile(r"(?:the )?(first|second|third|fourth|fifth)(?: (?:option|one|choice))")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_OTHER_THING = re.compile(r"an? \w+(?: \w+)?$")


def parse_choice(text: str, options: Sequence[str]) -> int | None:
    """Parse a model's free-text response to a multiple-choice question.

    An answer names an option by its words (upper or lower case, any Unicode form, with or without
    an article), by its letter ("B" is the second option), or by its number ("option 2"). Options
    that are equal after normalisation cannot be distinguished, and are never chosen.

    Args:
        text: the response.
        options: the options of the question.

    Returns:
        The index of the option if the answer names exactly one option and does not deny it. None
        if it names no option or several, hedges, refuses, or ends before the reasoning is complete.
    """
    answer = final_answer(text)
    if answer is None or len(options) > _MAX_OPTIONS:
        return None
    verbatim = _verbatim(text, options)
    if verbatim is not None:
        return verbatim
    named = _NamedOptions()
    if not all(
        named.add(sentence, len(options)) for sentence in split_sentences(_marked(answer, options))
    ):
        return None
    return named.only()


@dataclass(slots=True)
class _NamedOptions:
    """Indices of the options that the sentences of an answer name.

    Attributes:
        stated: options in clauses without negation.
        denied: options in clauses with a negation.
        letters: options that are named by letter or number; they are also in `stated` or `denied`.
        other_thing: whether a clause is a phrase, such as "a cat", that is not an option.
    """

    stated: set[int] = field(default_factory=set)
    denied: set[int] = field(default_factory=set)
    letters: set[int] = field(default_factory=set)
    other_thing: bool = False

    def add(self, sentence: str, n_options: int) -> bool:
        """Add the options that a sentence names.

        Return False if the sentence makes the whole answer invalid: it hedges, refuses, or names
        the letter or number of an option that does not exist. Return True otherwise.
        """
        plain = clauses.with_contrasts_split(clauses.without_courtesy(sentence))
        plain = _BRACKETED_AFTER_NOT.sub(r"\1\2", plain)
        if is_question(plain):
            return not clauses.is_refusal(plain)
        if clauses.is_undecided(plain):
            return False
        for clause in _clauses(plain):
            named = {ord(c) - _FIRST_MARK for c in clause if _is_option_mark(c)}
            letters = _letters(clause)
            self.letters |= letters
            negative = clauses.is_negative(clause)
            (self.denied if negative else self.stated).update(named | letters)
            self.other_thing |= bool(_OTHER_THING.fullmatch(clause))
        return max(self.letters, default=0) < n_options

    def only(self) -> int | None:
        """Return the index of the stated option.

        Return None if no option or several options are stated, or if the option is also denied.
        """
        # In "A: a cat", the letter may name another option than "a cat".
        if (
            len(self.stated) != 1
            or self.stated & self.denied
            or (self.letters and self.other_thing)
        ):
            return None
        return next(iter(self.stated))


def _marked(answer: str, options: Sequence[str]) -> str:
    """Return the answer with the name of each option replaced by one character, its mark.

    Later steps find the options by these characters. A one-letter option keeps its name, and its
    mark is added. Longer names are replaced first, because they may contain shorter names.
    """
    names = [_name(option) for option in options]
    unique = [n for n, name in enumerate(names) if name and names.count(name) == 1]
    marked = answer
    for name in {name for name in names if names.count(name) > 1 and name}:
        marked = _pattern(name).sub(" \ufdd0 ", marked)
    for n in sorted(unique, key=lambda n: len(names[n]), reverse=True):
        # A one-letter option must be the whole answer, because "a" is also an article.
        if not re.fullmatch("[a-z]", names[n]):
            marked = _pattern(names[n]).sub(f" {chr(_FIRST_MARK + n)} ", marked)
    letters = {names[n]: n for n in unique if re.fullmatch("[a-z]", names[n])}
    if letters:
        marked = "".join(
            _lettered(piece, letters)
            for piece in re.split(r"([,;:.!\n()\[\]]|\bor\b|\band\b)", marked)
        )
    return marked


def _lettered(piece: str, letters: dict[str, int]) -> str:
    """Return a piece of the answer, with a mark added if the piece is a one-letter option.

    Args:
        piece: text between punctuation marks, "and" or "or".
        letters: indices of the one-letter options, keyed by the letter.
    """
    bare = clauses.without_opening(piece.strip())
    if bare not in letters:
        return piece
    return f" {bare} {chr(_FIRST_MARK + letters[bare])} "


def _letters(clause: str) -> set[int]:
    """Return the indices of the options that a clause names by letter, number or ordinal."""
    bare = clauses.without_opening(clause)
    whole = _LETTER.fullmatch(bare) or _LETTER_WHY.match(bare)
    called = [whole[1]] if whole else _CALLED_LETTER.findall(clause)
    positions = {int(c) - 1 if c.isdigit() else ord(c) - ord("a") for c in called if c != "0"}
    ordinal = _ORDINAL.search(bare)
    return positions | ({_ORDINALS.index(ordinal[1])} if ordinal else set())


def _clauses(sentence: str) -> list[str]:
    """Return the clauses of a sentence; "not A or B" is one clause, because it denies both."""
    parts: list[str] = []
    for piece in clauses.split_clauses(sentence, joins=False):
        start = 0
        for join in _JOIN.finditer(piece):
            if not clauses.has_negation(piece[start : join.start()]):
                parts.append(piece[start : join.start()].strip())
                start = join.end()
        parts.append(piece[start:].strip())
    return [part for part in parts if part]


def _verbatim(text: str, options: Sequence[str]) -> int | None:
    """Return the index of the option without words, such as "+", that equals the whole text.

    Return None if there is no such option, or more than one.
    """
    repeated = unicodedata.normalize("NFKC", text).strip()
    equal = [
        n
        for n, option in enumerate(options)
        if not _name(option) and repeated == unicodedata.normalize("NFKC", option).strip() != ""
    ]
    return equal[0] if len(equal) == 1 else None


def _name(option: str) -> str:
    """Return the normalised name of an option, without article and punctuation."""
    name = re.sub(r"[()\[\]{}<>/|,;:.!?-]+", " ", normalize(option))
    return _ARTICLE.sub("", " ".join(name.split()))


def _pattern(name: str) -> re.Pattern[str]:
    """Return a regular expression for an option's name, with any punctuation between its words."""
    article = r"(?:(?<!\w)(?:an?|the)\s+)?"
    words = r"[\s()\[\]{}<>/|,;:.!?-]*".join(re.escape(word) for word in name.split())
    if _UNSPACED.search(name):
        return re.compile(words)
    if re.search("[가-힣]$", name):
        return re.compile(rf"(?<!\w){words}(?:(?!\w)|(?={_HANGUL_END}(?!\w)))")
    plural = r"(?:'?s|es)?" if name[-1:].isalpha() else ""
    return re.compile(rf"{article}(?<![\w&]){words}{plural}(?![\w+#&]|-like)")


def _is_option_mark(character: str) -> bool:
    return _FIRST_MARK <= ord(character) < _FIRST_MARK + _MAX_OPTIONS
