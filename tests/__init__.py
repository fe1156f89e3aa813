"""Rookie's tests: model_core, app, and what they share."""
