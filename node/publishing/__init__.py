"""What this node says itself: its keys, descriptions, drafts, and records it signs."""
