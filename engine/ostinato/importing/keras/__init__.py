"""Keras models without Keras or TensorFlow: .keras archives and the older .h5 files, of Keras 2 and 3.

    file ── `files` ──> configuration, weights (`weights`, bounded by `hdf5`)
    configuration ── `graph` ──> layers and their calls ── `walk` ──> nodes, a layer's by its converter in `layers`

Nothing in a file is run: a Lambda layer, a class of one's own and anything else that is code is refused by name.
"""
