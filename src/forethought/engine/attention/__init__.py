"""Attention back ends: prefill, decode, a masked batch on GPUs, sparse prefill."""
