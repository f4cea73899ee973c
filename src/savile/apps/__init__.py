"""Apps put it to work: one file or folder is one ready business application.

In comes what a business has (messages, reviews, tables); out goes a recipe with its data policy and bars, a sample, replies
in people's words, and pages in every language it speaks. `savile demo NAME` takes an app's sample all the way. To add one, add
a file or folder with the functions of `savile.base.contracts.App`; `savile.testing.check_app` holds it against that.
"""
