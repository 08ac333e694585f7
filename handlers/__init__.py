"""One function per operation of the contract: open, ask, represent. No SQL, no try, no environment."""
