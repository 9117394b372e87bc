"""Which rows are alike: pairs of items with their similarity, one measure a file, and what follows from the pairs."""
