"""How much of what, when, on which terms: a plan over many futures, with a proven distance from the best one."""
