"""Pages for people, routes for programs."""
