"""Tests of the network, its trainer, its files and its command line."""
