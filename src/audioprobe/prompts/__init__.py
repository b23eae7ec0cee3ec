"""What models are asked: prompts as files with names and versions, and a ladder of them."""
