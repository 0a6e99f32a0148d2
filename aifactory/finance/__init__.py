"""Money over time: prices, cash flows, unit cost, total cost of ownership, ways to pay."""
