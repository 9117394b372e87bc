"""Small models that are trained on rows: to find errors among them, and to measure what they are worth."""
