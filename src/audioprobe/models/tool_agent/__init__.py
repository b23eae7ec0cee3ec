"""An agent that answers questions about audio by calling tools.

- `tools`: what a tool is, and how components of the library become tools
- `audio_tools`: tags, presence, counting, order and loudness from a tagger
- `text_protocol`: prompts and steps of a controller as text
- `controllers`: controllers that are language models, and fixed or given plans
- `function_calling`: controllers behind endpoints with function calling
- `agent`: the agent, a language model

Importing this package imports none of them.
"""

__all__: list[str] = []
