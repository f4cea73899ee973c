"""What flows and what can be plugged in: records, contracts, catalogue, recipe, store, audit, events, errors.

Imports nothing of Savile but itself; every other room may import it. `mask` finds and replaces personal data, `stats` holds
intervals and tests, `page` writes self-contained HTML. Third-party packages are imported inside the functions that need them
wherever they cost start-up time.
"""
