"""What rolecall and the migrations cost, beside what else one could have: see README.md."""
