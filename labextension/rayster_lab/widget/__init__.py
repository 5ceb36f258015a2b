"""The live panel of Ray clusters in a notebook."""
