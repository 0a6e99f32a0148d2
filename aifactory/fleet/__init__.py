"""Foundation of shortlist and buy plan: what a demand stream needs on an accelerator, and what it costs on each way to pay."""
