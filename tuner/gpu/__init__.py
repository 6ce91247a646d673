"""Configurations for GPUs: ranked by a modelled time where none is there, by measurement where one is."""
