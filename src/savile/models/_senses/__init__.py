"""What reads pictures and recordings: one file is one encoder, found by name; an outside package offers ``savile.encoders``.

An encoder has ``KIND``, ``image`` or ``audio``; ``read(content)``, the bytes of a file -> an array of its ``SHAPE``, float32,
with an `InputError` for bytes that cannot be read; and ``network(width)``, a torch module that turns arrays (n, …) into tokens
(n, p, width), which learns together with the rest.
"""
