"""Detecting and redacting personal data."""
