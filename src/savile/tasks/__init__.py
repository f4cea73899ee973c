"""What a business asks: one file is one task.

A task names the roles it reads (`fields`), turns a row into the text a model reads (`render`), says what head sits on the base
(`head`) and scores answers (`score`). The same file serves training, evaluation and serving. To add a task, add a file with
these four functions; `savile.testing.check_task` holds it against the contract.
"""
