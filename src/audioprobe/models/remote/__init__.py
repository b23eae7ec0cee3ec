"""Models behind an HTTP service.

`openai_chat`, `vllm_chat` and `multi_endpoint` contain the models; `retry` and `budget` their
options; `audio_support` the check whether audio reaches a model. The other modules are internal:
`client` sends requests through `connections`, and `openai_format` converts prompts and answers.
Importing this package does not load the openai client.
"""

__all__: list[str] = []
