"""Bytes and rows on disk."""
