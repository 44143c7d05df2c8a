"""Telling people: rows written with the change that caused them, and what becomes of them afterwards."""
