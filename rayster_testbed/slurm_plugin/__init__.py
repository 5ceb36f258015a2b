"""Stands in for interLink's SLURM plugin: pods come in over HTTP, `sbatch`, `squeue` and `scancel` do the work.

Behaviour and strings follow interlink-slurm-plugin 0.6.2-pre5, configured with SHARED_FS=true,
ExportPodData, no flavors, no probes, image prefix `docker://`.
"""
