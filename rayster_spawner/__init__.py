"""RaySTER, hub side: profiles, options, offload, spawner."""
