"""What recipes measured, as tables for docs/recipes.md: a file each."""
