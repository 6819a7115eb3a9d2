"""Mathematics problems whose answers are numbers or expressions, from files."""
