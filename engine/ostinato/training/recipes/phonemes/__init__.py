"""Letters to phonemes, from the pronouncing dictionary."""
