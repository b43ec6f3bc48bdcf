"""A first version of a project's tests: personas, rows and grids, proposed from what the policies ask for."""
