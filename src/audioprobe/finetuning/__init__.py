"""Fine-tuning of an LTU: what trains, how forgetting is held, how sound is tied to text."""
