"""A private SLURM on loopback: real munged, slurmctld and slurmd daemons over nodes that need not exist."""
