"""LongBench (arXiv:2308.14508): questions about long documents, from files."""
