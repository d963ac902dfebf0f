"""Pictures of programs and their derivatives."""
