"""Networks in torch: tensors in, tensors out; published names stay in `_upstream`."""
