"""The product: which times are free, who takes a visit, and everything that happens to a visit. Knows no web and no queue."""
