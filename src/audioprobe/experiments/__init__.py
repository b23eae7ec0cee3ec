"""From a configuration to a result; joins backends and studies."""
