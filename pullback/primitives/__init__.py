"""Operations, a class each, with all their rules."""
