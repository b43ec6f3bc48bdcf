"""The results of a run, and their text for the terminal."""
