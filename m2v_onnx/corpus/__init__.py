"""Texts from files and streams, and their vectors into files."""
