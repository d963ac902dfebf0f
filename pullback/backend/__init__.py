"""From jaxprs to StableHLO to executables."""
