"""The one-machine stand-in for Kubernetes, interLink and a SLURM site."""
