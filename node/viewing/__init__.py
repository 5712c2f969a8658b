"""What people look at: pyramids from here or elsewhere, pictures and regions of tables."""
