"""Configurations in YAML: one for each data set, and the recipes."""
