"""The service against its own description."""
