"""`python -m tests.bench`: how fast the core is, beside what the machine can do at most, measured in the same run."""
