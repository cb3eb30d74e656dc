"""How sparse a system is. Pure functions, one family a file."""
