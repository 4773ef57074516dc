"""The recipe ``speech-cs``: Czech speech written as it is heard, character by character."""
