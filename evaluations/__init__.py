"""How a retrieval system is measured. Pure Python: knows nothing of the web site or of the queue."""
