"""Training jobs: `dispatch` starts and watches trainers, `trainer` is the process that does one job."""
