"""The recipe ``sentiment``: scores and classes of sentences, after each word and after the last."""
