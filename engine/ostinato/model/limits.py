"""How large what a model is made of may be."""

MOST = 65536
"""The largest size of anything: a layer, a frame, a window in samples."""
MAX_NODES = 1024
MAX_HEADS = 64
MAX_ROW = 1 << 18
"""Values that all nodes of a frame may have together: 1 MiB."""
MAX_STATE = 1 << 20
"""Values that a stream's state may have: 4 MiB."""
MAX_ENDING = 1 << 24
"""Values in the rows that one frame of the front end, or an utterance's end, makes of all stages: 64 MiB."""
MAX_WITHIN = 1 << 22
"""Values that a layer may compute with within one frame: 16 MiB."""
MAX_VALUES, MAX_CONTAINERS = 1 << 20, 1 << 16
"""In a specification's JSON: room for large vocabularies, whose words may hold commas and brackets."""
