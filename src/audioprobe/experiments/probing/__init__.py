"""Concept probes of several models and sounds, from a file, kept in a folder that goes on."""
