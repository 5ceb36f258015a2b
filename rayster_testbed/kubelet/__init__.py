"""The testbed's kubelet for cloud nodes: pods as local processes, one loopback address each.

The image of every container is this machine: a command is looked up in the PATH of the environment that the kubelet
runs in. `volumes` says how mounts work without root, and what does not.
"""
