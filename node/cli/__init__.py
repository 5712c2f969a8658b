"""The `locmesh` command: arguments in, sentences or JSON out."""
