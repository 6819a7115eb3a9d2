"""What a run spends: FLOPs, bytes and when an approximation can pay."""
