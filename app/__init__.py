"""Rookie's web service: it loads the model that model_core trained, answers with it, retrains it, and shows its weights."""
