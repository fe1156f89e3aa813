"""What is measured against what; never part of the test run."""
