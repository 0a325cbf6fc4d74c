"""Inert packages that behave as thieves, honest neighbours and hostile guests do, built when needed.

Every thief and every hostile package first makes sure that it is in a guest (`settled.py`) and does nothing
elsewhere. They reach only `.test` names and documentation addresses, and touch only what a guest plants.
"""
