"""What rolecall and the migrations cost, compared with the alternatives: see README.md."""
