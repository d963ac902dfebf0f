"""Programs that make parts of the library."""
