"""Ray clusters from the notebook: what is decided of them, as pure functions over plain data."""
