"""Recipes: everything from data to a tested model file. `digits` is the first."""
