"""The commands, a module for each part; nothing heavy is imported before one runs."""
