"""The league: rolecall and other tools on the same broken schemas. ``make league`` runs it."""
