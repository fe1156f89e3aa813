"""The Open Inference Protocol, version 2, over REST: what its bodies say, apart from how they travel (app/routes/open_inference.py)."""
