"""Small heads on a frozen network's hidden states: their mathematics, fitting and files."""
