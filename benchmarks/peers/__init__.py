"""The same training epoch in other libraries, each a program that runs one epoch for every line it reads."""
