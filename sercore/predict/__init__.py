"""Trained networks on recordings from anywhere.

novelty    is a recording unlike those that a network learnt from    recording  a sound file, whole or in windows
trained    networks by name: shipped, or a run of the store          hearing    what they say of a recording
scoring    from a waveform to class scores, as in training           shipping   the shipped models, made from published runs
sounds     made sounds that a novelty check must catch
"""
