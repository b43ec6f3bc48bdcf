"""What the tests covered, counted from the catalog."""
