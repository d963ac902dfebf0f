"""A walk through the document on custom derivative rules, example by example."""
