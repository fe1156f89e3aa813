"""Bodies made to hurt, against a real server."""
