"""A user's Ray clusters: what may be asked for, the objects it becomes, and what is known of one. No I/O."""
