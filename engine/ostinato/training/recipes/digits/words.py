"""The words of the recipe: digits, their symbols, and other words that must not be taken for digits."""

from __future__ import annotations

from collections.abc import Sequence

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""English names of the digits 0 to 9: the symbols of the models. CTC's blank has index 0, digit d has index d + 1."""

OH = "oh"
"""How many English speakers read a zero in a string. There, now and then, it is learnt as zero; alone it is not: too
close to four."""

OTHER = 10
"""What stands for a word that is no digit, where digits stand for themselves."""

SILENT = "other"
"""What the models hear in place of such a word, and do not tell."""

SYMBOLS = ("", *DIGITS, SILENT)

SPELLINGS = {
    "de": "siro wann tu sri fohr faif ssix sewen eht nein",
    "fr": "ziro ouane tou sri fôr faïve sixe sévène éïte naïne",
    "it": "ziro uan tu tri for faiv sics seven eit nain",
    "es": "siro uan tu zri for faiv sics seven eit nain",
    "nl": "ziero wan toe srie foor faiv siks seven eet nain",
}
"""How to write the digits so that a German, French, Italian, Spanish or Dutch voice says them in English."""

FILLERS = (  # noqa: SIM905
    "about after again always and animal answer apple around asking back banana because begin between big "
    "black blue book bottle brother bucket but button camera can car carry castle chair change child city "
    "close cold colour come computer corner country could cross day december did different dinner do doctor "
    "dog door down dream each earth east end enough every example eye face family far father february feel "
    "finger fish floor flower follow food friend game garden girl give go goodbye green group hand happy hard "
    "hear heart hello help her high hold home horse hotel house how hundred idea if in island just keep kind "
    "king kitchen know lady large later laugh leave letter like listen little long look loud machine make "
    "market maybe me measure milk million minute monday money moon more morning most mother mountain move "
    "much music name near never new night no north not now number of off old on open orange other over page "
    "paper people picture place plant play please point power put question quick quiet rain rather reach read "
    "ready really red remember right river road room round sail same school sea second see sentence she shoe "
    "short should show sister sit small snow some song soon sound south speak special spring stand star start "
    "stop story street strong summer sun sure table take talk telephone tell thank that the thing think "
    "thousand thursday time together tomorrow tree turn uncle under until usual very voice wait walk wall "
    "want water way we weather well what wheel where which white who why will window winter with wonder word "
    "work world would write yellow yes yesterday you young"
).split()
"""Common words without a digit's sound in them (no for, to, won, ate, before, someone)."""

NEAR = (  # noqa: SIM905
    "alive arrow line lime mine sign wine nice night light shine time fine find final kind vine "
    "heaven eleven sever several severe oven given riven level sick sit fix mix picks tax sister sicker "
    "door more floor store war fall fork form force fault core short ford "
    "late gate hate wheat eats state date paint aim edge age "
    "do shoe you new food tooth tool blue chew few "
    "tea thread throat throne thick think thief freeze sheep shriek screen "
    "hero here ear zebra zip narrow row rear nearer zoo series "
    "wonder once run want when wand young lung worn "
    "hive dive live drive life wife knife fire file fight fibre "
    "twelve twenty dozen hundred thousand million double triple hash star plus minus point comma "
    "hello please yes okay right stop go back cancel repeat again sorry thanks goodbye pardon"
).split()
"""Words that sound much like a digit, and such as are said beside digits."""


def labels(digits: Sequence[int]) -> list[int]:
    """CTC labels of digits and other words: digit d is output d + 1, another word output 11."""
    return [digit + 1 for digit in digits]


def transcript(digits: Sequence[int]) -> str:
    """The words of a digit string, as the models write it."""
    return " ".join(DIGITS[digit] for digit in digits)


def digits_of(text: str) -> list[int]:
    """The digits of a transcript; ``oh`` counts as zero, other words are left out."""
    names = {name: digit for digit, name in enumerate(DIGITS)} | {OH: 0}
    return [names[word] for word in text.lower().split() if word in names]
