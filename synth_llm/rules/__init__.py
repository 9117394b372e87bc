"""Rules that make texts without a model: small changes of a text, synonyms, grammars."""
