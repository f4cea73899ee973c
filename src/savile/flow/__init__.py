"""The words: one file for each. Its function of the same name is the word in Python, and the shell makes a command of it.

In comes what a person types: a file, a recipe, a reference, an alias. Out come records, or for `run` and `demo` a `Result`. A
word checks what it is given, asks the rooms in the order of the data, and gives back what they made; a file's `plan` has the
word's signature and says what it would do without writing anything (``--dry-run``). To add a word, add such a file and name
it in `savile.__all__`. Machinery: `_order` turns what was typed into a recipe, `_line` takes it from room to room, `_result` is
what comes back, `_people` fills the queue for people, `_plan` estimates,
`_screen` shows.
"""
