"""Formats in which recordings come: a module for each, all giving the same clips."""
