"""From a configuration to a result: the one place that joins backends and studies."""
