"""One function per operation: read the arguments, call one function, build the response. No SQL, no try."""
