"""An agent that answers questions about audio by calling tools.

- `tools`: what a tool is, and how components of the library become tools
- `clip_scores`: scores of a tagger for clips
- `audio_tools`: tags, presence, counting, order and loudness from a tagger
- `text_protocol`: prompts and steps of a controller as text
- `controllers`: the protocol of controllers
- `text_controllers`: controllers that are language models with text input, and given plans
- `function_calling`: controllers behind endpoints with function calling
- `tool_runner`: checks calls, runs them and records errors
- `agent`: the agent, a language model

Importing this package imports none of them.
"""

__all__: list[str] = []
