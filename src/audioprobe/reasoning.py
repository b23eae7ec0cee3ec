"""Separate a model's reasoning from its answer."""

import re

_NAME = r"(?:\w+[:_])?(?:think|thinking|thoughts?|reasoning|analysis|scratchpad)"
_MARK = re.compile(
    # <think>, </think>, <think type="x">, <seed:think>, ◁think▷, <|END_THINKING|>
    rf"[<◁]\|?\s*(?P<end>/|end_of_|end_)?\s*(?:begin_of_|start_)?(?P<name>{_NAME})"
    r"(?:\s[^<>]*?)?(?P<empty>/)?\|?[>▷]"
    r"|(?-i:\[(?P<bracket_end>/?)THINK\])"
    # <|channel|>analysis<|message|> … <|channel|>final<|message|>, and the same without its tokens
    r"|<\|channel\|>\s*(?:analysis|commentary|(?P<final>final))\b(?:[^<]*<\|message\|>)?"
    r"|(?-i:\A\s*analysis(?=[A-Z]))|(?P<bare_final>assistantfinal)"
    # <|channel>thought … <channel|>
    r"|<\|channel>\s*thought\b|(?P<channel_end><channel\|>)",
    re.IGNORECASE,
)
_CHANNEL_TOKEN = re.compile(r"<\|(?:start|end|return|message)\|>(?:assistant\b)?")


def split_reasoning(text: str) -> tuple[str | None, str | None]:
    """Separate reasoning blocks from the answer.

    Known are `<think>`, `<thinking>`, `<thought>`, `<reasoning>`, `<analysis>`, their variants in
    other brackets, and the channels "analysis" and "final". Blocks may be nested. A closing mark
    without an opening one ends a block that the chat template opened: all text before it is
    reasoning.

    Args:
        text: as the model wrote it.

    Returns:
        The text inside the blocks, None where there is no block; and the text outside them, None
        where a block is not closed, so that no answer was reached. Text without a block is the
        answer, unchanged.
    """
    pieces: list[str] = []
    is_reasoning: list[bool] = []
    opened: list[str] = []
    position = 0
    for mark in _MARK.finditer(text):
        if mark["empty"] or (mark["bare_final"] and not opened):
            continue  # <think/>, or a word of the answer
        pieces.append(text[position : mark.start()])
        is_reasoning.append(bool(opened))
        position = mark.end()
        name = (mark["name"] or "channel").casefold()
        if not _closes(mark):
            if name != "channel" or name not in opened:  # one end for all channels
                opened.append(name)
        elif name in opened:
            while opened.pop() != name:
                pass
        elif not opened:
            is_reasoning = [True] * len(pieces)
    if not pieces:
        return None, text
    pieces.append(text[position:])
    is_reasoning.append(bool(opened))
    reasoning, answer = (
        "\n".join(piece for piece, flag in zip(pieces, is_reasoning, strict=True) if flag is side)
        for side in (True, False)
    )
    return _clean(reasoning), None if opened else _clean(answer)


def _closes(mark: re.Match[str]) -> bool:
    ends = ("end", "bracket_end", "final", "bare_final", "channel_end")
    return any(mark[name] for name in ends)


def _clean(text: str) -> str:
    return _CHANNEL_TOKEN.sub("", text).strip()
