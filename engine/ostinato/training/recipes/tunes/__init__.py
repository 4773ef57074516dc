"""The recipe ``tunes``: a language model of traditional tunes, and a model that fills gaps in them."""
