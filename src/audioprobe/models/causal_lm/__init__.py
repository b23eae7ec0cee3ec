"""What all local causal language models share: loading, generation, likelihoods, batching."""
