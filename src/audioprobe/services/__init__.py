"""What every remote backend needs: requests, keys, limits, order, a store on disk."""
