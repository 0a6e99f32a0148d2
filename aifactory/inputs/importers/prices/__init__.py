"""Price lists of public tools and offers of vendors into the tables `prices` and `api_prices`."""
