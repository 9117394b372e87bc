"""The bars of curation: dedup, decontamination, filters, judges, labels, distribution, privacy."""
