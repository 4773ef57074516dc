"""How a card's text is laid out."""

from ostinato.cli.prose import laid_out
from ostinato_bench.terminal import Console

TEXT = "Digits wrong: clean 4.9% (3.1% to 7.6%); noise 8.9%; room 10.4%. GPL-3.0, one; two. In 63 s 28 a minute."
LINES = ["Digits wrong:", "  clean 4.9% (3.1% to 7.6%)", "  noise 8.9%", "  room 10.4%."]
LAST = ["GPL-3.0, one; two.", "In 63 s 28 a minute."]


def _shown(width: int | None) -> list[str]:
    console = Console(highlight=False, record=True, width=width, force_terminal=width is not None)
    with console.capture() as said:
        console.print(laid_out(TEXT))
    return [line.rstrip() for line in said.get().splitlines()]


def test_sentences_and_what_they_list_stand_in_lines_of_their_own() -> None:
    assert _shown(None) == LINES + LAST


def test_a_long_item_goes_on_below_itself() -> None:
    assert _shown(20)[:4] == ["Digits wrong:", "  clean 4.9% (3.1%", "  to 7.6%)", "  noise 8.9%"]
