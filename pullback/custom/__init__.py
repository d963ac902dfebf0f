"""Custom derivative rules: the centre of the library."""
