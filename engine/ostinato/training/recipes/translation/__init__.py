"""German sentences to English ones."""
