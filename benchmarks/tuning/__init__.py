"""Agents and the tuners that users would pick instead, side by side on eight families of simulated problems."""
