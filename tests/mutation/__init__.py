"""Faults put into a library's code by cosmic-ray, drawn at random, and how many of them its tests notice."""
