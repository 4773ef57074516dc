"""What each recipe does, a room each, and the table of them all."""

from collections.abc import Mapping

from ostinato.training.recipes.digits.recipe import RECIPE as DIGITS
from ostinato.training.recipes.phonemes.recipe import RECIPE as PHONEMES
from ostinato.training.recipes.recipe import Options, Recipe, Telling, Trained
from ostinato.training.recipes.sentiment.recipe import RECIPE as SENTIMENT
from ostinato.training.recipes.speech_cs.recipe import RECIPE as SPEECH
from ostinato.training.recipes.translation.recipe import RECIPE as TRANSLATION
from ostinato.training.recipes.tunes.recipe import RECIPE as TUNES

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (DIGITS, PHONEMES, SENTIMENT, SPEECH, TRANSLATION, TUNES)
}
"""By name."""

__all__ = ["RECIPES", "Options", "Recipe", "Telling", "Trained"]
