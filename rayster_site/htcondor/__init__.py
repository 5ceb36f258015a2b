"""HTCondor: asks `condor_status` and `condor_q`, and understands what they print."""
