"""A study of fine-tuning from a file: what each strategy gains, forgets and carries over."""
