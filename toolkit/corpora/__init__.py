"""Corpora, one module each.  A module offers four functions:

- ``fetch(corpus, data, ...)``: obtain what may be obtained (lists, archives), checked by hash;
- ``verify(corpus, ...) -> str``: what the folder holds: "full", "mini" or "partial (...)"; an error for the wrong folder;
- ``prepare(corpus, data, *, nj, strict, ...)``: write audio and manifests below `data`; parallel, restartable, deterministic;
- ``make_mini(corpus, seed)``: write a mini corpus in exactly the official layout.

`corpus` is the folder of the corpus as its makers publish it, `data` the folder that everything prepared goes to.
"""
