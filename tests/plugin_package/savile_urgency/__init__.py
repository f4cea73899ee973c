"""A toy package from outside, which adds one task to Savile."""
