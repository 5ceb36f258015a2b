"""A small batch queue that speaks SLURM's command lines, for machines without SLURM.

A daemon queues jobs for the nodes of `rayster_testbed.partitions`, runs them as processes of this machine,
and ends them at their walltime; `bin/{sbatch,squeue,scancel,sinfo}` talk to it over a unix socket. Words and
formats are those of SLURM 22.05.
"""
