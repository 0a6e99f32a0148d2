"""What an accelerator can serve: capacity at SLO, anchored estimates, fleet sizes."""
