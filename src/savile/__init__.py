"""Savile."""
