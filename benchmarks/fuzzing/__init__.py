"""Mutants of valid files, given to what reads such files, in child processes with limits."""
