"""Networks of the audio world as JSON: Neural Amp Modeler's .nam, RTNeural's and AIDA-X's layers, PyTorch's state
dictionaries. Samples go in, samples come out.

    file ── `document` (bounded, every field used) ──> `nam`, `rtneural`, `state_dict`: a module for each format

A file of weights has no rate and no form of what it hears: `sound` has these.
"""
