"""The report as one HTML page: see :mod:`rolecall.report.html.page`."""
