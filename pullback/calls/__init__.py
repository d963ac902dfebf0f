"""Operations that hold programs: jit, branches, loops, checkpoint."""
