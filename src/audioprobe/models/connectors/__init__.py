"""Connectors: networks between an audio encoder and a language model.

A connector converts the encoder's features to audio tokens. Most connectors make tokens that
precede the text in the input of the language model (`sequence`, `codes`). Others give the tokens to
layers of the language model, which then read them while they process text (`layers`,
`cross_attention`, `keys_values`). `config` lists all connectors.
"""

__all__: list[str] = []
