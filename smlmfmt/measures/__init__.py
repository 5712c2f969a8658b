"""What can be measured about a localization table, one module per fact (docs/measures.md)."""
