"""Values, operations, traces and jaxprs: what every other layer speaks of."""
