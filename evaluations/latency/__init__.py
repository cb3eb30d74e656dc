"""How fast a system answers, beside references measured in the same minutes. See docs/protocol.md."""
