"""LTU and LTU-AS: network, prompt, checkpoint, audio front end, generation and adapters."""
