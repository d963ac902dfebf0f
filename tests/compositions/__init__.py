"""What the tests of compositions share: random programs, transformations, functions."""
