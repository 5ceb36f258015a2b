"""SLURM: asks `sinfo` and `squeue`, and understands what they print."""
