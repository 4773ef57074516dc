"""Music with the truth known: scores are played and rendered, models and madmom's programs hear onsets and beats.

pieces ── scores ──> performance ── rendering ──> recording ──┬─ hearing: ours, peers.madmom ── measuring ──> figures
the table  music21   seconds, MIDI  fluidsynth    and truth ──┘                                 tables, picture
"""
