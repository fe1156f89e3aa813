"""Minutes of everything at once against one server, and whether anything gave way."""
