"""What stands between stages, once all of them are lowered: links, and how much each must keep of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.kernels.operations import Region
from ostinato.kernels.program import Program
from ostinato.kernels.stages import COUNTER, History, Link, Stages
from ostinato.lanes import padded
from ostinato.model.framing import Framing
from ostinato.model.limits import MAX_ENDING, MAX_STATE
from ostinato.model.staging import Staging


@dataclass(frozen=True)
class Draft:
    """A link that has no history yet: from a ``region`` of the rows of stage ``source`` to what begins at ``offset``
    of those of ``target``."""

    source: int
    region: Region
    target: int
    framing: Framing
    offset: int

    @property
    def size(self) -> int:
        """Values that it gives a frame."""
        return self.region.size // self.framing.times * self.framing.taps


def linked(programs: Sequence[Program], drafts: Sequence[Draft], staging: Staging, given: int) -> Stages:
    """``programs`` as the stages below the last, which is ``given`` so many values; with room for each frame that a
    link may still need. Raises BadModelFileError if that, or what is made at once, is too large."""
    offsets, size = [], COUNTER
    for program in programs:
        offsets.append(size)
        size += program.state_size
    frames = np.arange(staging.reach())
    made = staging.made(frames)
    kept: dict[tuple[int, Region], int] = {}
    for draft in drafts:
        where = draft.source, draft.region
        need = int((made[draft.source] - draft.framing.first(made[draft.target])).max())
        kept[where] = max(kept.get(where, 0), need)
    histories: dict[tuple[int, Region], History] = {}
    for (stage, region), count in kept.items():
        if count:
            slot = padded(region.size)
            histories[stage, region] = History(stage, region.offset, region.size, size, count, slot)
            size += count * slot
    if size > MAX_STATE:
        raise BadModelFileError(f"a stream's state would have {size} values, over the limit of {MAX_STATE}")
    links, pads = [], []
    for draft in sorted(drafts, key=lambda draft: draft.target):
        f, region = draft.framing, draft.region
        history = histories.get((draft.source, region))
        place, count, slot = (history.place, history.kept, history.slot) if history else (0, 1, 0)
        link = Link(
            draft.source, draft.target, region.offset, region.size // f.times, f.taps, f.stride,
            f.dilation, f.left, f.right, f.times, f.skip, f.trim, f.hold, draft.offset, place, count, slot,
        )  # fmt: skip
        links.append(link)
        pads.append(f.pad)
    widths = [*(program.row_size for program in programs), given]
    values, values_at_end = (
        sum(count * width for count, width in zip(counts, widths, strict=True)) for counts in staging.most_made()
    )
    if max(values, values_at_end) > MAX_ENDING:
        raise BadModelFileError(
            f"an utterance's end, or a frame, would make {max(values, values_at_end)} values at once, over the "
            f"limit of {MAX_ENDING}: use a shorter look-ahead, smaller windows, or less upsampling"
        )
    return Stages(
        tuple(programs), tuple(links), tuple(histories.values()), tuple(pads), tuple(offsets), size, given,
        values, staging.most_made()[1][-1],
    )  # fmt: skip
