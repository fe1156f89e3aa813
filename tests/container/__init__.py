"""Tests of the image and the compose file; they need a Docker engine."""
