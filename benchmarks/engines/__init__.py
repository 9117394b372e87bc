"""What the model layer promises, as figures beside bare clients and other tools (`make bench-engines`)."""
