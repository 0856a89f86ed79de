"""The intermediate representation: interned typed nodes, their shapes, their text and their meaning."""
