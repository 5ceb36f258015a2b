"""The testbed's pod scheduler: binds pods to nodes that fit, and says in an event why none does."""
