"""Spoken English digits by CTC, from synthetic voices, tested on people."""
