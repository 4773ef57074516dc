"""A tune in another key."""

from __future__ import annotations

from ostinato.notation.keys import Key
from ostinato.notation.tune import Note, Tune, element, token


def transposed(tune: Tune, sharps: int, octaves: int = 0) -> Tune:
    """The tune in the key of its mode with so many sharps, moved to the nearest place, and by octaves from there."""
    key = Key(sharps, tune.key.mode)
    steps = (key.tonic - tune.key.tonic) % 7
    if steps > 3:
        steps -= 7
    steps += 7 * octaves
    body = []
    for each in tune.body:
        of = element(each)
        if isinstance(of, Note):
            step, alteration = of.step + steps, of.alteration
            if alteration is not None:
                alteration += key.alteration(step) - tune.key.alteration(of.step)
                if abs(alteration) > 2:  # a triple accidental has no sign: the neighbour's name
                    raise ValueError(f"{each} has no name in {key}")
            body.append(token(of._replace(step=step, alteration=alteration)))
        else:
            body.append(each)
    return Tune(tune.metre, tune.unit, key, tuple(body))
