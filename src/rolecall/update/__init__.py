"""Cells whose verdicts were observed, and that nobody has decided."""
