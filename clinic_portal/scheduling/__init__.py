"""The product: which times are free, who takes a visit, and what happens to a visit. Knows no web and no queue."""
