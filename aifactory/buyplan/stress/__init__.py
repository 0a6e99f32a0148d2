"""What breaks a plan, what flexibility is worth, and what each way to plan would have cost on real history."""
