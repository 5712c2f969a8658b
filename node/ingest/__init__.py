"""Files in: chosen, read and measured by worker processes, stored, described as samples."""
