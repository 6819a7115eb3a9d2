"""Long documents with questions of many kinds, after LongBench (arXiv:2308.14508), from files."""
