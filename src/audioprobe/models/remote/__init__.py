"""Models behind an HTTP endpoint: requests, keys, budgets, retries and chat formats."""
