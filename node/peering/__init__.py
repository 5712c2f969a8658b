"""Talking to other nodes: sync, events, discovery, mirrors, verified download."""
